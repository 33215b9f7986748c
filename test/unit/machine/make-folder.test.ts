import { once } from "node:events";
import { statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { makeFolder } from "#quipu/machine/make-folder.js";
import { temporaryFolder } from "../../checkpoint-writer.js";

const temporary = temporaryFolder();

test("makes a folder and those above it, and leaves one that is there", () => {
  const path = join(temporary, "a/b/c");
  for (let i = 0; i < 2; i++) {
    makeFolder(path);
    expect(statSync(path).isDirectory()).toBe(true);
  }
});

test("several make one at once", async () => {
  const [threads, folders] = [3, 300];
  // All begin every folder together.
  const program = `
    const { workerData: { module, temporary, threads, folders, turns } } = require("node:worker_threads");
    import(module).then(({ makeFolder }) => {
      for (let i = 0; i < folders; i++) {
        Atomics.add(turns, i, 1);
        Atomics.notify(turns, i);
        for (let there; (there = Atomics.load(turns, i)) < threads; ) Atomics.wait(turns, i, there);
        makeFolder(temporary + "/at once " + i + "/a/b/c/d");
      }
    });`;
  const turns = new Int32Array(new SharedArrayBuffer(4 * folders));
  const module = import.meta.resolve("#quipu/machine/make-folder.js");
  const workerData = { module, temporary, threads, folders, turns };
  const workers = Array.from({ length: threads }, () => new Worker(program, { eval: true, workerData }));
  try {
    await Promise.all(workers.map((worker) => once(worker, "exit"))); // rejects with an error of a worker
  } finally {
    for (const worker of workers) await worker.terminate();
  }
});

test("says what the system says where there can be none", () => {
  // mkdirSync's own `recursive` never returns from here.
  expect(() => makeFolder("/proc/quipu/a/b")).toThrow("ENOENT");
  writeFileSync(join(temporary, "file"), "");
  expect(() => makeFolder(join(temporary, "file"))).toThrow("EEXIST");
  expect(() => makeFolder(join(temporary, "file/below"))).toThrow("ENOTDIR");
});
