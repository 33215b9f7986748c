// Lines to entries.
import { EntryReader } from "#quipu/cli/chat/entries.js";

/** The entries of some lines; "+" before a line: more lines were pasted with it. */
function entries(...lines: readonly string[]) {
  const reader = new EntryReader();
  const read = lines.map((line) => reader.push(line.replace(/^\+/, ""), line.startsWith("+")));
  return { read: read.filter((entry) => entry !== undefined), isOpen: reader.isOpen };
}
const message = (text: string) => ({ text, isMessage: true });
const line = (text: string) => ({ text, isMessage: false });

test.each<[string, string[], object[]]>([
  ["a line is an entry", ["a", " b ", "/c"], [line("a"), line(" b "), line("/c")]],
  ["white space is none", ["", "  ", "\t"], []],
  [
    "between quotation marks, lines are one message",
    ['"""a', "", " b", 'c"""', "d"],
    [message("a\n\n b\nc"), line("d")],
  ],
  ["whose first and last line may be bare", ['"""', "/a", '"""', "b"], [message("/a"), line("b")]],
  ["or the same", ['  """/a b""" '], [message("/a b")]],
  ["which may be empty", ['"""', '"""', '""""""', "a"], [line("a")]],
  ["quotation marks within a line begin nothing", ['a """ b', 'c"""'], [line('a """ b'), line('c"""')]],
  [
    "lines that are pasted are one message, with what is typed behind them",
    ["+/a", "+", "b", "c"],
    [message("/a\n\nb"), line("c")],
  ],
  ["and may have quotation marks around them", ['+"""', "+a", '+b"""', "c"], [message("a\nb"), line("c")]],
])("%s", (_, lines, expected) => {
  expect(entries(...lines)).toEqual({ read: expected, isOpen: false });
});

test("what is open can be given up", () => {
  expect(entries('"""a', "b")).toEqual({ read: [], isOpen: true });
  const reader = new EntryReader();
  for (const [first, pasted] of [
    ['"""a', false],
    ["a", true],
  ] as const) {
    reader.push(first, pasted);
    expect(reader.isOpen).toBe(true);
    reader.cancel();
    expect(reader.push("b")).toEqual(line("b"));
  }
});
