// Added tokens: texts that are one id wherever they stand, found before anything is cut into pieces
// (native/tokenizer/added_tokens.h). Special ones (control tokens) are found only where the caller asks for it, so that user text
// cannot speak as the system.
import { shown } from "../arguments.js";
import { QuipuError } from "../errors.js";
import type { SpecialText } from "./tokenizer.js";

/** One more than the greatest id that the engine takes: the largest published vocabularies are below 300 000. */
const MAX_VOCABULARY = 2 ** 24 - 1;

export function isId(id: unknown): boolean {
  return Number.isInteger(id) && (id as number) >= 0 && (id as number) < MAX_VOCABULARY;
}

export interface AddedToken {
  readonly id: number;
  readonly text: string;
  readonly special: boolean;
  /** White space before or after it belongs to it. */
  readonly strip?: { readonly left: boolean; readonly right: boolean };
  /** Found only where no character of a word is beside it. */
  readonly singleWord?: boolean;
  /** Found after those that are not. */
  readonly normalized?: boolean;
  /** What of those is found in normalized text: default `text`, normalized by the engine. */
  readonly sought?: string;
}

/** id, text, flags and what is sought of each, as the native tokenizer takes them. */
export function toNative(tokens: readonly AddedToken[]): (number | string | null)[] {
  return tokens.flatMap(({ id, text, special, strip, singleWord, normalized, sought }) => {
    const flags = [special, strip?.left, strip?.right, singleWord, normalized];
    return [id, text, flags.reduce((bits, flag, i) => bits | (flag ? 1 << i : 0), 0), sought ?? null];
  });
}

/** Which added tokens are found in text. */
export class AllowedTokens {
  readonly #tokens: readonly AddedToken[];
  readonly #all: Uint8Array;
  readonly #ordinary: Uint8Array;

  constructor(tokens: readonly AddedToken[]) {
    this.#tokens = tokens;
    this.#all = new Uint8Array(tokens.length).fill(1);
    this.#ordinary = Uint8Array.from(tokens, ({ special }) => (special ? 0 : 1));
  }

  /** A byte for each. @throws {QuipuError} ERR_USAGE for a name that is no special token. */
  of(special: SpecialText): Uint8Array {
    if (special === true) return this.#all;
    if (special === false || special === "error") return this.#ordinary;
    const names = new Set(special);
    const allowed = Uint8Array.from(this.#tokens, (token) => (!token.special || names.delete(token.text) ? 1 : 0));
    for (const name of names) {
      throw new QuipuError("ERR_USAGE", `special: expected special tokens of this tokenizer, got ${shown(name)}`, {
        option: "special",
      });
    }
    return allowed;
  }
}
