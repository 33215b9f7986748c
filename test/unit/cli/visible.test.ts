// What a terminal shows and never obeys.
import { VisibleStream, visible } from "#quipu/cli/terminal/visible.js";

const ESC = "\x1b";

test.each([
  ["text, newlines and tabs", "a\tb\nc", "a\tb\nc"],
  [
    "other scripts, marks and joiners",
    "你好 שָׁלוֹם مرحبا 👩‍👩‍👧 e\u0301\u200f\u200e",
    "你好 שָׁלוֹם مرحبا 👩‍👩‍👧 e\u0301\u200f\u200e",
  ],
  ["escape sequences", `${ESC}[31mred${ESC}]0;title\x07`, "\\x1b[31mred\\x1b]0;title\\x07"],
  ["C1 controls, backspaces, DEL", "a\u009b31m\b\x7f\u0085", "a\\x9b31m\\x08\\x7f\\x85"],
  ["directions that reach beyond their text", "a\u202eb\u2066c\u2069", "a\\u202eb\\u2066c\\u2069"],
  ["a NUL, and a carriage return that would write over the line", "\0a\rb", "\\x00a\\x0db"],
])("%s", (_, text, shown) => {
  expect(visible(text)).toBe(shown);
  const stream = new VisibleStream();
  expect([...text].map((one) => stream.push(one)).join("") + stream.end()).toBe(shown);
});

test("carriage returns before newlines, wherever the text is cut", () => {
  for (const pieces of [["a\r\nb\r\n"], ["a\r", "\nb\r", "\n"], ["a", "\r", "\n", "b\r\n"]]) {
    const stream = new VisibleStream();
    expect(pieces.map((piece) => stream.push(piece)).join("") + stream.end()).toBe("a\nb\n");
  }
  const stream = new VisibleStream();
  expect([stream.push("a\r"), stream.push("\r\n"), stream.push("b\r"), stream.end()]).toEqual([
    "a",
    "\\x0d\n",
    "b",
    "\\x0d",
  ]);
});
