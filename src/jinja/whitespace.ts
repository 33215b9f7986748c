// Python's whitespace (str.isspace, str.strip, \s of re): not JavaScript's, which lacks U+001C to U+001F and U+0085 and has U+FEFF.

/** The inside of a character class of a regular expression. */
export const WHITESPACE = "\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";

/** Where str.splitlines() cuts, beside CR LF; the inside of a character class. */
export const LINE_BREAKS = "\\n\\r\\v\\f\\x1c-\\x1e\\x85\\u2028\\u2029";

const ONE = new RegExp(`[${WHITESPACE}]`);
const START = new RegExp(`^[${WHITESPACE}]+`);

export function isSpace(char: string): boolean {
  return ONE.test(char);
}

export function trimStart(text: string): string {
  return text.replace(START, "");
}

export function trimEnd(text: string): string {
  let end = text.length;
  while (end > 0 && isSpace(text[end - 1]!)) end--;
  return text.slice(0, end);
}
