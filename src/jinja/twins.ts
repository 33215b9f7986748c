// Twins: characters that stand for others and say that a user has written them. One is as long as its original, so texts are cut and joined
// with their twins in place; wherever text is looked at, it is looked at as `plain` gives it.

import { spendSearch } from "./budget.js";

export class Twins {
  readonly #twins = new Map<string, string>();
  readonly #originals = new Map<string, string>();
  readonly #some: { readonly originals: RegExp; readonly twins: RegExp };

  /** @param twins by their originals: as many UTF-16 units, and none that is an original or stands in any text of the rendering. */
  constructor(twins: Iterable<readonly [string, string]>) {
    for (const [original, twin] of twins) {
      this.#twins.set(original, twin);
      this.#originals.set(twin, original);
    }
    const anyOf = (characters: Iterable<string>) =>
      new RegExp(Array.from(characters, (c) => `\\u{${c.codePointAt(0)!.toString(16)}}`).join("|") || "(?!)", "gu");
    this.#some = { originals: anyOf(this.#twins.keys()), twins: anyOf(this.#originals.keys()) };
  }

  hide(text: string): string {
    return text.replace(this.#some.originals, (character) => this.#twins.get(character)!);
  }

  reveal(text: string): string {
    return text.replace(this.#some.twins, (twin) => this.#originals.get(twin)!);
  }
}

/** Of the rendering that runs. */
let active: Twins | undefined;

export function withTwins<T>(twins: Twins, work: () => T): T {
  const outer = active;
  active = twins;
  try {
    return work();
  } finally {
    active = outer;
  }
}

/** A text as it is looked at: with the originals of its twins. */
export function plain(text: string): string {
  return active === undefined ? text : active.reveal(text);
}

/** The parts of a text between the first `most` places where a separator is seen. */
export function cut(text: string, separator: string, most = Number.POSITIVE_INFINITY): string[] {
  spendSearch(text.length, separator.length);
  const [seen, sought] = [plain(text), plain(separator)];
  if (seen === text && most === Number.POSITIVE_INFINITY) return text.split(sought);
  const parts: string[] = [];
  let from = 0;
  for (let at = seen.indexOf(sought); at !== -1 && parts.length < most; at = seen.indexOf(sought, from)) {
    parts.push(text.slice(from, at));
    from = at + sought.length;
  }
  return [...parts, text.slice(from)];
}
