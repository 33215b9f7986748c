// Control tokens that users have typed, told from those of a chat template.
//
// Templates cut, trim and search what they are given, so places cannot be kept as offsets. Instead characters say where they come from: in
// everything that a user has written, those that control tokens begin with are replaced by twins (src/jinja/twins.ts), which a template cannot
// tell from them. A control token in the rendered text is the template's if no twin stands in it. That twins change nothing is checked
// against a rendering without them.
import { QuipuError } from "../errors.js";
import { Twins } from "../jinja/twins.js";
import { literalPattern } from "../tokenizer/code-points.js";
import type { Rendering } from "./template.js";

/** Symbols that hardly anybody writes: hexagrams of the I Ching, and for characters of two UTF-16 units those of the Tai Xuan Jing. */
const SYMBOLS = [range(0x4dc0, 0x4dff), range(0x1d306, 0x1d356)] as const;

/** A control token in a rendered text. */
export interface ControlToken {
  readonly start: number;
  readonly end: number;
  /** A user has typed it: it is plain text. */
  readonly typed: boolean;
}

export class ControlTokens {
  /** Any of them, of several at one place the longest. */
  readonly #pattern: RegExp | undefined;
  /** One character of each: its first symbol, where it has one. */
  readonly #marks: ReadonlySet<string>;

  constructor(texts: Iterable<string>) {
    const tokens = [...texts].filter((text) => text !== "").sort((a, b) => b.length - a.length);
    this.#pattern = tokens.length === 0 ? undefined : new RegExp(tokens.map(literalPattern).join("|"), "gu");
    this.#marks = new Set(tokens.map((text) => /[^\p{L}\p{N}\s]/u.exec(text)?.[0] ?? [...text][0]!));
  }

  /**
   * The control tokens of a rendered text, in its order.
   *
   * @throws {QuipuError} ERR_CHAT_TEMPLATE where it cannot be found out whose they are.
   */
  find(rendering: Rendering, where: string): ControlToken[] {
    const { text } = rendering;
    if (this.#pattern === undefined || text.search(this.#pattern) < 0) return [];
    const twinned = this.#twinned(rendering, where);
    return Array.from(text.matchAll(this.#pattern), ({ 0: token, index: start }) => {
      const end = start + token.length;
      return { start, end, typed: twinned.slice(start, end) !== token };
    });
  }

  /** The rendered text with twins where users have written. */
  #twinned(rendering: Rendering, where: string): string {
    const { text, texts } = rendering;
    const marks = [...this.#marks].filter((mark) => texts.some((one) => one.includes(mark)));
    if (marks.length === 0) return text;
    const isTaken = (symbol: string) => text.includes(symbol) || texts.some((one) => one.includes(symbol));
    const used = new Set<string>();
    const pairs = marks.map((mark) => {
      const twin = SYMBOLS[mark.length - 1]?.find((symbol) => !used.has(symbol) && !isTaken(symbol));
      used.add(twin ?? "");
      return [mark, twin] as const;
    });
    if (pairs.some(([, twin]) => twin === undefined)) {
      throw new QuipuError(
        "ERR_CHAT_TEMPLATE",
        `${where}: the messages use up the symbols that tell their control tokens from the template's`,
      );
    }
    const twins = new Twins(pairs as [string, string][]);
    const twinned = rendering.again(twins);
    if (twins.reveal(twinned) === text) return twinned;
    throw new QuipuError(
      "ERR_CHAT_TEMPLATE",
      `${where}: the chat template does with ${marks.join(" ")} in messages what keeps their control tokens from being told from its own. Leave these characters out.`,
    );
  }
}

function range(from: number, to: number): string[] {
  return Array.from({ length: to - from + 1 }, (_, i) => String.fromCodePoint(from + i));
}
