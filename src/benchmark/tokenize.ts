// How fast a model's tokenizer takes in a text that it has not seen.
import { isQuipuError } from "../errors.js";
import { loadTokenizer } from "../tokenizer/load-tokenizer.js";

/** Tokenizers that each figure is measured with: a text that is short enough to be kept here takes one of them a millisecond. */
const TOKENIZERS = 8;

/** Megabytes a second, `count` figures; none where the folder has no tokenizer that can be used. */
export async function tokenizeRates(dir: string, count: number): Promise<number[]> {
  const first = await loadTokenizer(dir).catch((error: unknown) => {
    if (!isQuipuError(error)) throw error;
  });
  if (first === undefined) return [];
  const { TEXT } = await import("./text.js"); // when it is needed: no start should read it
  first.encode(TEXT); // the code on the way is compiled then
  const megabytes = Buffer.byteLength(TEXT) / 1e6;
  const rates: number[] = [];
  for (let i = 0; i < count; i++) {
    let ms = 0;
    for (let k = 0; k < TOKENIZERS; k++) {
      const tokenizer = await loadTokenizer(dir); // anew, so that no piece is remembered
      const started = performance.now();
      tokenizer.encode(TEXT);
      ms += performance.now() - started;
    }
    rates.push((1000 * TOKENIZERS * megabytes) / ms);
  }
  return rates;
}
