// Runs of one byte or of two, whatever the byte: no table takes a value for "nothing here", so work grows with the length.
import { loadEncoding } from "#quipu/tokenizer/encodings.js";
import type { Tokenizer } from "#quipu/tokenizer/tokenizer.js";
import { ofText } from "./text-vocabulary.js";
import { namedTokenizer } from "./tokenizers.js";

const SMALL = 2_000;
const LARGE = 16 * SMALL;
/** Above the linear 16, and far below the 256 of a quadratic way. */
const MOST = 64;
/** Microseconds in which even the whole vocabulary's longest tokens are looked for at every place. */
const NOTHING = 20_000;

/** Microseconds of CPU, the least of so many. */
function work(tokenizer: Tokenizer, bytes: Uint8Array, passes: number): number {
  const times = Array.from({ length: passes }, () => {
    const started = process.cpuUsage();
    tokenizer.count(bytes);
    const { user, system } = process.cpuUsage(started);
    return user + system;
  });
  return Math.min(...times);
}

function expectLinear(tokenizer: Tokenizer, unit: readonly number[]): void {
  const whole = (length: number) => length - (length % unit.length); // no part of a character
  const run = (length: number) => Uint8Array.from({ length: whole(length) }, (_, i) => unit[i % unit.length]!);
  const large = run(LARGE);
  if (work(tokenizer, large, 1) < NOTHING) return;
  // Measured again before it is believed: the machine may have had something else to do.
  const [before, after] = [work(tokenizer, run(SMALL), 5), work(tokenizer, large, 5)];
  if (after < NOTHING || after < MOST * Math.max(before, 50)) return;
  expect({ unit, before, after }).toEqual({ unit, before, after: `less than ${MOST} × before` });
}

test("a vocabulary of text: runs of letters, of marks and of what is no token", async () => {
  const tokenizer = await ofText();
  for (const unit of ["a", "ab", "aab", " ", "\u2581", "a ", "  a", "é", "日本", "x", "x a", "\0"]) {
    expectLinear(tokenizer, [...Buffer.from(unit)]);
  }
});

const bytes = Array.from({ length: 256 }, (_, byte) => byte);

describe.each(["llama3", "stories.json", "stories.model", "o200k_base"])("%s", (name) => {
  let tokenizer: Tokenizer;
  beforeAll(async () => {
    tokenizer = name === "o200k_base" ? await loadEncoding(name) : (await namedTokenizer(name))!;
  });

  test("each byte", () => {
    for (const byte of bytes) expectLinear(tokenizer, [byte]);
  });

  test("pairs with the byte 0, with 255 and with a letter", () => {
    for (const byte of bytes) for (const other of [0, 0x61, 0xff]) expectLinear(tokenizer, [other, byte]);
  });

  test("the bytes of the first ids", () => {
    for (let id = 0; id < 8; id++) expectLinear(tokenizer, [...tokenizer.decodeSingleTokenBytes(id)]);
  });
});
