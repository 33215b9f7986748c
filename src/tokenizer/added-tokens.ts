// Added tokens: texts that are one id wherever they stand, found before anything is cut into pieces. Special ones (control
// tokens) are found only where the caller asks for it, so that user text cannot speak as the system.

export interface AddedToken {
  readonly id: number;
  readonly text: string;
  readonly special: boolean;
  /** White space before or after it belongs to it. */
  readonly strip?: { readonly left: boolean; readonly right: boolean };
}

/** A part of a text: plain text, or an added token. */
export type Segment = { readonly text: string } | { readonly id: number };

export class AddedTokens {
  readonly #ids: ReadonlyMap<string, number>;
  readonly #all: RegExp | undefined;
  readonly #ordinary: RegExp | undefined;

  constructor(tokens: readonly AddedToken[]) {
    this.#ids = new Map(tokens.map(({ text, id }) => [text, id]));
    this.#all = matcherOf(tokens);
    this.#ordinary = matcherOf(tokens.filter(({ special }) => !special));
  }

  /** Cuts `text` at its added tokens; at special ones only when `special` asks for it. */
  split(text: string, special: boolean): Segment[] {
    const matcher = special ? this.#all : this.#ordinary;
    if (matcher === undefined) return text === "" ? [] : [{ text }];
    const segments: Segment[] = [];
    let end = 0;
    for (const match of text.matchAll(matcher)) {
      if (match.index > end) segments.push({ text: text.slice(end, match.index) });
      segments.push({ id: this.#ids.get(match[0]) ?? this.#ids.get(match.groups!.token!.trim())! });
      end = match.index + match[0].length;
    }
    if (end < text.length) segments.push({ text: text.slice(end) });
    return segments;
  }
}

/** Finds the leftmost, of several the longest. */
function matcherOf(tokens: readonly AddedToken[]): RegExp | undefined {
  if (tokens.length === 0) return undefined;
  const longestFirst = [...tokens].sort((a, b) => b.text.length - a.text.length);
  const alternatives = longestFirst.map(({ text, strip }) => {
    const escaped = text.replace(/[\\^$*+?.()|[\]{}/-]/g, "\\$&");
    return `${strip?.left ? "\\p{White_Space}*" : ""}${escaped}${strip?.right ? "\\p{White_Space}*" : ""}`;
  });
  return new RegExp(`(?<token>${alternatives.join("|")})`, "gu");
}
