// The history of a chat: where it lies, who may read it, how long it grows.
import { appendFileSync, chmodSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { History, historyFile, MOST_LINES } from "#quipu/cli/chat/history.js";
import { temporaryFolder } from "../../../checkpoint-writer.js";

const dir = temporaryFolder();
let files = 0;
const newFile = () => join(dir, String(files++), "quipu", "chat_history");
const refuse = (problem: string): void => {
  throw new Error(problem);
};
const open = (file: string, warn = refuse) => new History(file, warn);
const mode = (path: string) => (statSync(path).mode & 0o777).toString(8);

test("lies where XDG says", () => {
  expect(historyFile({ XDG_STATE_HOME: "/s", HOME: "/h" })).toBe("/s/quipu/chat_history");
  expect(historyFile({ XDG_STATE_HOME: "s", HOME: "/h" })).toBe("/h/.local/state/quipu/chat_history");
  expect(historyFile({ HOME: "/h" })).toBe("/h/.local/state/quipu/chat_history");
  expect(historyFile({ HOME: "" })).toBeUndefined();
});

test("is its user's alone, from the first line on, and is mended where it was not", () => {
  const file = newFile();
  open(file).add("a");
  expect([mode(file), mode(dirname(file))]).toEqual(["600", "700"]);
  chmodSync(file, 0o644);
  open(file).add("b");
  expect(mode(file)).toBe("600");
});

test("has the newest first, those of other sessions at the same time too, and nothing twice in a row", () => {
  const file = newFile();
  const [one, two] = [open(file), open(file)];
  expect(one.lines).toEqual([]);
  for (const line of ["a", "a", " ", ""]) one.add(line);
  two.add("b");
  one.add("c");
  expect(open(file).lines).toEqual(["c", "b", "a"]);
});

test("is bounded", () => {
  const file = newFile();
  mkdirSync(dirname(file), { recursive: true });
  const all = Array.from({ length: 2 * MOST_LINES + 1 }, (_, i) => `line ${i}`);
  writeFileSync(file, `${all.slice(0, -1).join("\n")}\n`);
  expect(open(file).lines).toHaveLength(MOST_LINES);
  expect(readFileSync(file, "utf8").split("\n")).toHaveLength(2 * MOST_LINES + 1);
  appendFileSync(file, `${all.at(-1)}\n`);
  expect(open(file).lines).toEqual(all.slice(-MOST_LINES).reverse());
  expect(readFileSync(file, "utf8")).toBe(`${all.slice(-MOST_LINES).join("\n")}\n`);
  expect(mode(file)).toBe("600");
});

test("a file of any size is read from its end alone", () => {
  const file = newFile();
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, `${"x".repeat(3 * 2 ** 20)}\nlast\n`);
  expect(open(file).lines).toEqual(["last"]);
  expect(readFileSync(file, "utf8")).toBe("last\n");
});

test("one that cannot be used is a warning, once", () => {
  const problems: string[] = [];
  const history = open(join(dir, "0"), (problem) => problems.push(problem)); // a folder
  history.add("a");
  history.add("b");
  expect(problems).toEqual([expect.stringMatching(/^what is typed is not kept: EISDIR/)]);
  const none = new History(undefined, refuse);
  none.add("a");
  expect(none.lines).toEqual([]);
});
