// What happens to texts that are being encoded on other threads when who waits for them goes away: in child processes, as a
// crash would take jest with it.
import { join } from "node:path";
import { node } from "./script.js";

// One piece, of which the engine has some hundred milliseconds to do.
const WORK = {
  batch: 'tokenizer.encodeBatch(Array(4).fill("\\u0301".repeat(2e6)));',
  stream: '(async () => { for await (const _ of tokenizer.encodeStream(["\\u0301".repeat(8e6)])); })();',
};

test.each(Object.entries(WORK))("terminating a worker in mid-%s leaves the process whole", (_, work) => {
  const code = `
    const { loadTokenizer } = await import(${JSON.stringify(join(process.cwd(), "dist/index.js"))});
    const tokenizer = await loadTokenizer("models/storyteller");
    ${work}
    (await import("node:worker_threads")).parentPort.postMessage(1);`;
  const { output, status } = node(`
    const { Worker } = await import("node:worker_threads");
    const worker = new Worker(${JSON.stringify(code)}, { eval: true, type: "module" });
    await new Promise((resolve, reject) => worker.once("message", resolve).once("error", reject));
    await worker.terminate();
    console.log("whole");`);
  expect({ status, output }).toEqual({ status: 0, output: "whole" });
});
