// quipu data pack: texts to a file of tokens.
import { type PackedCorpus, type PackedFile, type PackOptions, packCorpus, QuipuError } from "../../index.js";
import type { Context } from "../context.js";
import { warningPrinter } from "../model-options.js";
import { write } from "../terminal/output.js";
import { Progress } from "../terminal/progress.js";
import { formatBytes } from "../terminal/tables.js";

export interface DataPackOptions {
  readonly tokenizer?: string;
  readonly output: string;
  readonly force?: boolean;
  readonly holdOut?: number;
  readonly bos?: string;
  readonly eos?: string;
  readonly format?: PackOptions["format"];
  readonly field?: string;
  readonly threads?: number;
  readonly json?: boolean;
  readonly quiet?: boolean;
}

export async function dataPack(files: readonly string[], options: DataPackOptions, { signal }: Context): Promise<void> {
  const { tokenizer, bos, eos, json, quiet = false, ...rest } = options;
  if (tokenizer === undefined) {
    throw new QuipuError(
      "ERR_USAGE",
      "--tokenizer: whose ids the tokens are: a checkpoint folder or a tokenizer's file",
    );
  }
  const progress = new Progress({ quiet });
  let result: PackedCorpus;
  try {
    result = await packCorpus(
      {
        ...rest,
        ...{ files, tokenizer, signal, bosToken: specialToken(bos), eosToken: specialToken(eos) },
        onProgress: (done, total) => progress.draw("packing", done, total === 0 ? undefined : total),
      },
      warningPrinter({ quiet }),
    );
  } finally {
    progress.erase();
  }
  if (json) return write(`${JSON.stringify(result)}\n`);
  if (!quiet) await write(summaryOf(result));
}

/** "none" is none. */
function specialToken(text: string | undefined): string | false | undefined {
  return text === "none" ? false : text;
}

function summaryOf({ packed, heldOut, removed, emptyDocuments, longestDocument }: PackedCorpus): string {
  const textBytes = packed.textBytes + (heldOut?.textBytes ?? 0);
  const documents = packed.documents + (heldOut?.documents ?? 0);
  const empty = emptyDocuments === 0 ? "" : `; ${emptyDocuments} without text left out`;
  const gone = removed === undefined ? "" : `removed   ${removed}: held out by an earlier pack\n`;
  const line = (what: string, { path, bytes, tokens, documents }: PackedFile) =>
    `${what.padEnd(10)}${path}: ${count(documents, "document")}, ${count(tokens, "token")}, ${formatBytes(bytes)}\n`;
  return `read      ${count(documents, "document")}, ${formatBytes(textBytes)} of text, the longest ${count(longestDocument, "token")}${empty}
${line("written", packed)}${heldOut === undefined ? "" : line("held out", heldOut)}${gone}`;
}

function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? "" : "s"}`;
}
