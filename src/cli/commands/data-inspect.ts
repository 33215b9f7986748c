// quipu data inspect: what a token file is.
import { loadTokenizer, openTokens, QuipuError, type TokenFile, type Tokenizer } from "../../index.js";
import type { Context } from "../context.js";
import { warningPrinter } from "../model-options.js";
import { write } from "../terminal/output.js";

export interface DataInspectOptions {
  readonly tokenizer?: string;
  readonly document?: number;
  readonly json?: boolean;
}

/** Documents whose places are read at a time. */
const BLOCK = 2 ** 16;

export async function dataInspect(path: string, options: DataInspectOptions, { signal }: Context): Promise<void> {
  const { document, json } = options;
  if (document !== undefined && options.tokenizer === undefined) {
    throw new QuipuError("ERR_USAGE", "--document: ids become text by their tokenizer: give --tokenizer as well");
  }
  const tokenizer =
    options.tokenizer === undefined ? undefined : await loadTokenizer(options.tokenizer, warningPrinter({}));
  const file = await openTokens(path);
  try {
    if (tokenizer !== undefined) file.checkTokenizer(tokenizer);
    if (document !== undefined) {
      const ids = await file.document(document);
      const text = tokenizer!.decode(ids, { special: true });
      return await write(json ? `${JSON.stringify({ document, ids: [...ids], text })}\n` : `${text}\n`);
    }
    const lengths = await lengthsOf(file, signal);
    if (json) return await write(`${JSON.stringify({ path, ...file.info, ...lengths })}\n`);
    await write(describe(file, lengths, tokenizer));
  } finally {
    await file.close();
  }
}

interface Lengths {
  readonly shortestDocument: number;
  readonly longestDocument: number;
}

async function lengthsOf(file: TokenFile, signal: AbortSignal): Promise<Lengths> {
  const { documents } = file.info;
  let [shortest, longest] = [Number.POSITIVE_INFINITY, 0];
  for (let first = 0; first < documents; first += BLOCK) {
    if (signal.aborted) throw new QuipuError("ERR_ABORTED", "interrupted while reading");
    const starts = await file.starts(first, Math.min(BLOCK, documents - first));
    for (let i = 1; i < starts.length; i++) {
      const length = starts[i]! - starts[i - 1]!;
      shortest = Math.min(shortest, length);
      longest = Math.max(longest, length);
    }
  }
  return { shortestDocument: shortest, longestDocument: longest };
}

function describe({ info }: TokenFile, lengths: Lengths, tokenizer: Tokenizer | undefined): string {
  const { documents, tokens, textBytes, vocabSize, vocabularyHash, bosId, eosId } = info;
  const { shortestDocument, longestDocument } = lengths;
  const token = (id: number | undefined) =>
    id === undefined
      ? "nothing"
      : `${id}${tokenizer === undefined ? "" : ` ${tokenizer.decode([id], { special: true })}`}`;
  return `documents   ${documents} of ${shortestDocument} to ${longestDocument} tokens, ${(tokens / documents).toFixed(1)} on average
tokens      ${tokens}, ${(textBytes / tokens).toFixed(2)} bytes of text each
vocabulary  ${vocabSize} ids, sha256 ${vocabularyHash}
begins with ${token(bosId)}, ends with ${token(eosId)}
`;
}
