// A template as tokens: Jinja2's lexer (jinja2/lexer.py) with trim_blocks and lstrip_blocks, as transformers sets them.

import { once } from "../once.js";
import { spend } from "./budget.js";
import { JinjaError, unsupported } from "./errors.js";
import { escapeOf } from "./text.js";
import { isidentifier } from "./unicode.js";
import { trimEnd, WHITESPACE } from "./whitespace.js";

export type TokenType =
  | "data"
  | "begin"
  | "end"
  | "print"
  | "endprint"
  | "name"
  | "string"
  | "int"
  | "float"
  | "op"
  | "eof";

export interface Token {
  readonly type: TokenType;
  /** The text: of a string what it denotes, of an operator itself, of a number its digits without "_". */
  readonly value: string;
  readonly line: number;
}

const OPERATORS = /\*\*|\/\/|==|!=|>=|<=|[+\-/*%~[\](){}><=.:|,;]/y;
const FLOAT = /(?:\d+_)*\d+(?:(?:\.(?:\d+_)*\d+)?e[+-]?(?:\d+_)*\d+|\.(?:\d+_)*\d+)/iy;
const INTEGER = /0b(?:_?[01])+|0o(?:_?[0-7])+|0x(?:_?[\da-f])+|[1-9](?:_?\d)*|0(?:_?0)*/iy;
const nameAt = once(() => /[\p{L}\p{N}\p{XID_Continue}_]+/uy);
const SPACES = new RegExp(`[${WHITESPACE}]+`, "y");
const RAW_BEGIN = new RegExp(`\\{%([-+]?)[${WHITESPACE}]*raw[${WHITESPACE}]*(?:-%\\}[${WHITESPACE}]*|%\\})`, "y");
const RAW_END = new RegExp(
  `\\{%([-+]?)[${WHITESPACE}]*endraw[${WHITESPACE}]*(?:\\+%\\}|-%\\}[${WHITESPACE}]*|%\\}\\n?)`,
  "y",
);
const BLOCK_END = new RegExp(`\\+%\\}|-%\\}[${WHITESPACE}]*|%\\}\\n?`, "y");
const PRINT_END = new RegExp(`-\\}\\}[${WHITESPACE}]*|\\}\\}`, "y");
const ONLY_SPACES = new RegExp(`^[${WHITESPACE}]+$`);
const CLOSERS: Readonly<Record<string, string>> = { "{": "}", "(": ")", "[": "]" };

/** @throws {JinjaError} TemplateSyntaxError */
export function tokenize(text: string): Token[] {
  return new Lexer(text).run();
}

class Lexer {
  readonly #source: string;
  readonly #tokens: Token[] = [];
  #pos = 0;
  #line = 1;
  /** The last match ended a line, so that blanks before a block may be stripped. */
  #lineStarts = true;

  constructor(text: string) {
    const lines = text.replace(/\r\n|\r/g, "\n");
    // keep_trailing_newline is off: one newline at the end is not part of the template.
    this.#source = lines.endsWith("\n") ? lines.slice(0, -1) : lines;
  }

  run(): Token[] {
    while (this.#pos < this.#source.length) this.#root();
    this.#push("eof", "", this.#line);
    return this.#tokens;
  }

  #push(type: TokenType, value: string, line: number): void {
    spend(1 + (value.length >>> 4));
    this.#tokens.push({ type, value, line });
  }

  #fail(message: string, line = this.#line): never {
    throw new JinjaError("TemplateSyntaxError", message, line);
  }

  #advance(end: number): void {
    const source = this.#source;
    // Only this part is searched: to the end of the template each time would be quadratic.
    const passed = source.slice(this.#pos, end);
    for (let i = passed.indexOf("\n"); i !== -1; i = passed.indexOf("\n", i + 1)) this.#line++;
    if (end > this.#pos) this.#lineStarts = source[end - 1] === "\n";
    this.#pos = end;
  }

  /** Text up to the next tag, then the tag. */
  #root(): void {
    const source = this.#source;
    let at = source.indexOf("{", this.#pos);
    while (at !== -1 && !/[{%#]/.test(source[at + 1] ?? "")) at = source.indexOf("{", at + 1);
    if (at === -1) {
      this.#push("data", source.slice(this.#pos), this.#line);
      this.#advance(source.length);
      return;
    }
    RAW_BEGIN.lastIndex = at;
    const raw = RAW_BEGIN.exec(source);
    const sign = raw ? raw[1]! : /[-+]/.test(source[at + 2] ?? "") ? source[at + 2]! : "";
    this.#text(at, sign, source[at + 1] !== "{");
    if (raw) {
      this.#advance(RAW_BEGIN.lastIndex);
      this.#raw();
      return;
    }
    const line = this.#line;
    this.#advance(at + 2 + sign.length);
    if (source[at + 1] === "#") this.#comment();
    else if (source[at + 1] === "%") this.#tag("begin", "end", BLOCK_END, line);
    else this.#tag("print", "endprint", PRINT_END, line);
  }

  /** The text before a tag at `end`, stripped as the tag's sign says. */
  #text(end: number, sign: string, isBlock: boolean): void {
    const line = this.#line;
    let text = this.#source.slice(this.#pos, end);
    if (sign === "-") {
      text = trimEnd(text);
    } else if (sign !== "+" && isBlock) {
      const lineStart = text.lastIndexOf("\n") + 1;
      if ((lineStart > 0 || this.#lineStarts) && ONLY_SPACES.test(text.slice(lineStart)))
        text = text.slice(0, lineStart);
    }
    if (text !== "") this.#push("data", text, line);
    this.#advance(end);
  }

  #comment(): void {
    const source = this.#source;
    const close = source.indexOf("#}", this.#pos);
    if (close === -1) this.#fail("Missing end of comment tag");
    const sign = close > this.#pos ? source[close - 1] : "";
    let end = close + 2;
    if (sign === "-") {
      SPACES.lastIndex = end;
      if (SPACES.test(source)) end = SPACES.lastIndex;
    } else if (sign !== "+" && source[end] === "\n") {
      end++;
    }
    this.#advance(end);
  }

  #raw(): void {
    const source = this.#source;
    for (let at = source.indexOf("{%", this.#pos); at !== -1; at = source.indexOf("{%", at + 1)) {
      RAW_END.lastIndex = at;
      const end = RAW_END.exec(source);
      if (!end) continue;
      this.#text(at, end[1]!, true);
      this.#advance(at + end[0].length);
      return;
    }
    this.#fail("Missing end of raw directive");
  }

  #tag(begin: TokenType, end: TokenType, endPattern: RegExp, beginLine: number): void {
    const source = this.#source;
    const open: string[] = [];
    this.#push(begin, "", beginLine);
    for (;;) {
      if (this.#pos >= source.length) return;
      const line = this.#line;
      const pos = this.#pos;
      if (open.length === 0 && matchAt(endPattern, source, pos)) {
        this.#push(end, "", line);
        this.#advance(endPattern.lastIndex);
        return;
      }
      if (matchAt(SPACES, source, pos)) {
        this.#advance(SPACES.lastIndex);
      } else if (source[pos - 1] !== "." && matchAt(FLOAT, source, pos)) {
        this.#push("float", source.slice(pos, FLOAT.lastIndex).replaceAll("_", ""), line);
        this.#advance(FLOAT.lastIndex);
      } else if (matchAt(INTEGER, source, pos)) {
        this.#push("int", source.slice(pos, INTEGER.lastIndex).replaceAll("_", ""), line);
        this.#advance(INTEGER.lastIndex);
      } else if (matchAt(nameAt(), source, pos)) {
        const name = source.slice(pos, nameAt().lastIndex);
        if (!isidentifier(name)) this.#fail("Invalid character in identifier");
        if (name !== name.normalize("NFKC"))
          throw unsupported(`the name ${name} is not in normal form (NFKC)`, this.#line);
        this.#push("name", name, line);
        this.#advance(nameAt().lastIndex);
      } else if (source[pos] === "'" || source[pos] === '"') {
        this.#string(line);
      } else if (matchAt(OPERATORS, source, pos)) {
        const op = source.slice(pos, OPERATORS.lastIndex);
        const closer = CLOSERS[op];
        if (closer !== undefined) open.push(closer);
        else if (op === "}" || op === ")" || op === "]") {
          const expected = open.pop();
          if (expected === undefined) this.#fail(`unexpected '${op}'`);
          if (expected !== op) this.#fail(`unexpected '${op}', expected '${expected}'`);
        }
        this.#push("op", op, line);
        this.#advance(pos + op.length);
      } else {
        this.#fail(`unexpected char '${String.fromCodePoint(source.codePointAt(pos)!)}' at ${pos}`);
      }
    }
  }

  #string(line: number): void {
    const source = this.#source;
    const quote = source[this.#pos]!;
    let end = this.#pos + 1;
    while (end < source.length && source[end] !== quote) end += source[end] === "\\" ? 2 : 1;
    if (end >= source.length) this.#fail(`unexpected char '${quote}' at ${this.#pos}`);
    const body = source.slice(this.#pos + 1, end);
    this.#push("string", body.includes("\\") ? this.#unescape(body) : body, line);
    this.#advance(end + 1);
  }

  /** Python's unicode-escape, after what is not ASCII was written as escapes: so a backslash before such a character is one itself. */
  #unescape(body: string): string {
    let text = "";
    for (let i = 0; i < body.length; ) {
      const next = body.indexOf("\\", i);
      if (next === -1) return text + body.slice(i);
      text += body.slice(i, next);
      const code = body.codePointAt(next + 1)!;
      const char = String.fromCodePoint(code);
      i = next + 1 + char.length;
      const simple = SIMPLE_ESCAPES[char];
      if (simple !== undefined) {
        text += simple;
      } else if (char >= "0" && char <= "7") {
        const digits = /^[0-7]{1,3}/.exec(body.slice(i - 1, i + 2))![0];
        text += String.fromCharCode(Number.parseInt(digits, 8));
        i += digits.length - 1;
      } else if (char === "x" || char === "u" || char === "U") {
        const length = char === "x" ? 2 : char === "u" ? 4 : 8;
        const digits = body.slice(i, i + length);
        if (!/^[\da-fA-F]+$/.test(digits) || digits.length < length)
          this.#fail(`truncated \\${char} escape in a string`);
        const value = Number.parseInt(digits, 16);
        if (value > 0x10ffff) this.#fail("illegal Unicode character in a string");
        if (value >= 0xd800 && value <= 0xdfff)
          throw unsupported("a string with a surrogate as an escape cannot be encoded", this.#line);
        text += String.fromCodePoint(value);
        i += length;
      } else if (char === "N") {
        throw unsupported("\\N{…} in a string: write the character itself or its \\u escape", this.#line);
      } else if (code > 0x7f) {
        text += escapeOf(code);
      } else {
        text += `\\${char}`;
      }
    }
    return text;
  }
}

const SIMPLE_ESCAPES: Readonly<Record<string, string>> = {
  __proto__: null as never,
  "\n": "",
  "\\": "\\",
  "'": "'",
  '"': '"',
  a: "\x07",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
  v: "\v",
};

function matchAt(pattern: RegExp, text: string, at: number): boolean {
  pattern.lastIndex = at;
  return pattern.test(text);
}
