// Never more threads than processors, whoever asks for them: counted in a process of its own.
import { node } from "./script.js";

const PROGRAM = `
const { readdirSync } = await import("node:fs");
const { readFile } = await import("node:fs/promises");
const { describeMachine, loadEncoding, measureRoofs, trainTokenizer } = await import(process.cwd() + "/dist/index.js");
const threads = () => readdirSync("/proc/self/task").length;
await Promise.all(Array.from({ length: 16 }, () => readFile("package.json"))); // Node's own threads are there
/** How many threads come to those that there are, at most, until this is done. */
async function added(start) {
  const before = threads();
  let most = 0, done = false;
  const work = start().finally(() => { done = true; });
  while (!done) {
    most = Math.max(most, threads() - before);
    await new Promise(setImmediate);
  }
  await work;
  return most;
}
const tokenizer = await loadEncoding("o200k_base");
const texts = Array.from({ length: 4000 }, (_, i) => ("text number " + i + " ").repeat(200));
const { target, threads: processors } = describeMachine();
const used = {
  encodeBatch: await added(() => tokenizer.encodeBatch(texts, { threads: 200 })),
  trainTokenizer: await added(() => trainTokenizer({ files: Array.from({ length: 20 }, () => "CHANGELOG.md"), vocabSize: 2000, threads: 200 })),
  measureRoofs: await added(() => measureRoofs(target, 200)),
};
console.log(JSON.stringify({ used, processors }));
`;

test("encodeBatch, trainTokenizer and measureRoofs use no more than there are processors", () => {
  const { status, output, stderr } = node(PROGRAM);
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  const { used, processors } = JSON.parse(output);
  expect(Object.entries<number>(used).filter(([, threads]) => threads > processors)).toEqual([]);
});
