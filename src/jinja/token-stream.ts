// The tokens of a template, one at a time, with what both parsers ask of them.
import { JinjaError } from "./errors.js";
import { type Token, type TokenType, tokenize } from "./lexer.js";

/** Python's own recursion limit stops Jinja2 near 70 nested brackets. */
const MAX_NESTING = 100;

export class TokenStream {
  readonly #tokens: readonly Token[];
  #at = 0;
  #nesting = 0;

  constructor(source: string) {
    this.#tokens = tokenize(source);
  }

  get current(): Token {
    return this.#tokens[this.#at]!;
  }

  get following(): Token {
    return this.#tokens[this.#at + 1] ?? this.current;
  }

  next(): Token {
    const token = this.current;
    if (token.type !== "eof") this.#at++;
    return token;
  }

  is(type: TokenType, value?: string): boolean {
    const token = this.current;
    return token.type === type && (value === undefined || token.value === value);
  }

  skipIf(type: TokenType, value?: string): boolean {
    if (!this.is(type, value)) return false;
    this.next();
    return true;
  }

  expect(type: TokenType, value?: string): Token {
    if (!this.is(type, value)) {
      this.fail(`expected token '${value ?? TOKEN_NAMES[type]}', got '${describe(this.current)}'`);
    }
    return this.next();
  }

  nest<T>(parse: () => T): T {
    if (++this.#nesting > MAX_NESTING)
      throw new JinjaError("RecursionError", `nested deeper than ${MAX_NESTING}`, this.current.line);
    const result = parse();
    this.#nesting--;
    return result;
  }

  fail(message: string, line = this.current.line): never {
    throw new JinjaError("TemplateSyntaxError", message, line);
  }
}

const TOKEN_NAMES: Readonly<Record<TokenType, string>> = {
  data: "template data / text",
  begin: "begin of statement block",
  end: "end of statement block",
  print: "begin of print statement",
  endprint: "end of print statement",
  name: "name",
  string: "string",
  int: "integer",
  float: "float",
  op: "operator",
  eof: "end of template",
};

export function describe(token: Token): string {
  return token.type === "name" || token.type === "op" ? token.value : TOKEN_NAMES[token.type];
}
