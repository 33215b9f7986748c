// A vocabulary that was trained, and the files it is written to. Ids: the 256 bytes in the order of GPT-2's alphabet, the
// merges by rank, the special tokens; the layout of Llama 3's.
import { dirname, join } from "node:path";
import { flag, type Kinds, pathOf, readOptions } from "../../arguments.js";
import { makeFolder } from "../../machine/make-folder.js";
import { refuseExisting, replaceFile } from "../../machine/replace-file.js";
import { CHARACTER_OF_BYTE } from "../byte-alphabet.js";
import { preTokenizerOf, type TrainingPattern } from "./patterns.js";

/** What a vocabulary was learned from. */
export interface TrainingStats {
  readonly documents: number;
  /** Bytes of text. */
  readonly bytes: number;
  readonly pieces: number;
  readonly distinctPieces: number;
}

export interface SaveOptions {
  /** Overwrites what is there. */
  readonly force?: boolean | undefined;
}

export const SAVE_OPTIONS: Kinds<SaveOptions> = { force: flag };

export interface TrainedParts {
  readonly pattern: TrainingPattern;
  /** Ids (left, right) of each merge one after another. */
  readonly merges: Uint32Array;
  readonly counts: Float64Array;
  readonly specialTokens: readonly string[];
  readonly bosToken: string | undefined;
  readonly eosToken: string | undefined;
  readonly stats: TrainingStats;
}

/** The bytes by id: printable ones first, as their characters are ordered. */
const BYTES_BY_ID: readonly number[] = Array.from({ length: 256 }, (_, byte) => byte).sort((a, b) =>
  CHARACTER_OF_BYTE[a]! < CHARACTER_OF_BYTE[b]! ? -1 : 1,
);

export class TrainedTokenizer {
  readonly pattern: TrainingPattern;
  /** The bytes of each id below the special tokens'. */
  readonly tokens: readonly Uint8Array[];
  /** Ids that each merge joins; merge r makes id 256 + r. */
  readonly merges: readonly (readonly [left: number, right: number])[];
  /** How often each pair was there when it was merged. */
  readonly counts: Float64Array;
  readonly specialTokens: ReadonlyMap<string, number>;
  readonly bosToken: string | undefined;
  readonly eosToken: string | undefined;
  readonly vocabSize: number;
  readonly stats: TrainingStats;

  constructor({ pattern, merges, counts, specialTokens, bosToken, eosToken, stats }: TrainedParts) {
    const tokens: Uint8Array[] = BYTES_BY_ID.map((byte) => Uint8Array.of(byte));
    const pairs: [number, number][] = [];
    for (let i = 0; i < merges.length; i += 2) {
      const [left, right] = [merges[i]!, merges[i + 1]!];
      pairs.push([left, right]);
      tokens.push(Buffer.concat([tokens[left]!, tokens[right]!]));
    }
    this.pattern = pattern;
    this.tokens = tokens;
    this.merges = pairs;
    this.counts = counts;
    this.specialTokens = new Map(specialTokens.map((text, i) => [text, tokens.length + i]));
    this.vocabSize = tokens.length + specialTokens.length;
    this.bosToken = bosToken;
    this.eosToken = eosToken;
    this.stats = stats;
  }

  /** The rank file, in tiktoken's form: a line "base64 rank" for each token but the special ones. */
  tokenizerModel(): string {
    return this.tokens.map((bytes, rank) => `${Buffer.from(bytes).toString("base64")} ${rank}\n`).join("");
  }

  /** tokenizer.json, in the form of Hugging Face's tokenizers. */
  tokenizerJson(): string {
    const texts = this.tokens.map((bytes) => Array.from(bytes, (byte) => CHARACTER_OF_BYTE[byte]).join(""));
    const bos = this.bosToken;
    const bosId = bos === undefined ? undefined : this.specialTokens.get(bos);
    const special = (id: string, type: number) => ({ SpecialToken: { id, type_id: type } });
    const sequence = (id: string, type: number) => ({ Sequence: { id, type_id: type } });
    const file = {
      version: "1.0",
      truncation: null,
      padding: null,
      added_tokens: Array.from(this.specialTokens, ([content, id]) => ({
        id,
        content,
        single_word: false,
        lstrip: false,
        rstrip: false,
        normalized: false,
        special: true,
      })),
      normalizer: null,
      pre_tokenizer: preTokenizerOf(this.pattern),
      post_processor:
        bos === undefined
          ? null
          : {
              type: "TemplateProcessing",
              single: [special(bos, 0), sequence("A", 0)],
              pair: [special(bos, 0), sequence("A", 0), special(bos, 1), sequence("B", 1)],
              special_tokens: { [bos]: { id: bos, ids: [bosId], tokens: [bos] } },
            },
      decoder: { type: "ByteLevel", add_prefix_space: true, trim_offsets: true, use_regex: true },
      model: {
        type: "BPE",
        dropout: null,
        unk_token: null,
        continuing_subword_prefix: null,
        end_of_word_suffix: null,
        fuse_unk: false,
        byte_fallback: false,
        ignore_merges: false,
        // Not by assignment: "__proto__" is a token like any other.
        vocab: Object.fromEntries(texts.map((text, id) => [text, id])),
        merges: this.merges.map(([left, right]) => [texts[left], texts[right]]),
      },
    };
    return `${JSON.stringify(file, null, 2)}\n`;
  }

  /** tokenizer_config.json: what the special tokens are, which a rank file does not say. */
  tokenizerConfig(): string {
    const file = {
      added_tokens_decoder: Object.fromEntries(
        Array.from(this.specialTokens, ([content, id]) => [
          id,
          { content, lstrip: false, normalized: false, rstrip: false, single_word: false, special: true },
        ]),
      ),
      ...(this.bosToken === undefined ? {} : { bos_token: this.bosToken }),
      ...(this.eosToken === undefined ? {} : { eos_token: this.eosToken }),
      tokenizer_class: "PreTrainedTokenizerFast",
    };
    return `${JSON.stringify(file, null, 2)}\n`;
  }

  /**
   * Writes the rank file, and tokenizer.json and tokenizer_config.json beside it; each appears whole.
   *
   * @returns the paths.
   * @throws {QuipuError} ERR_USAGE where one is there already, unless `force` is set.
   */
  async save(output: string | URL, options?: SaveOptions): Promise<string[]> {
    const { force = false } = readOptions<SaveOptions>("save", options, SAVE_OPTIONS);
    const path = pathOf("output", output);
    const paths = outputPaths(path);
    if (!force) await refuseExisting(paths);
    makeFolder(dirname(path));
    const texts = [this.tokenizerModel(), this.tokenizerJson(), this.tokenizerConfig()];
    for (const [i, file] of paths.entries()) await replaceFile(file, texts[i]!);
    return paths;
  }
}

/** The rank file, tokenizer.json and tokenizer_config.json. */
export function outputPaths(path: string): [string, string, string] {
  return [path, join(dirname(path), "tokenizer.json"), join(dirname(path), "tokenizer_config.json")];
}
