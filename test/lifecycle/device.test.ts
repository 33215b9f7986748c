// What happens to a device when its process, its worker or its owner goes away: in child processes, as a crash would take
// jest with it.
import { describeWhere } from "../where.js";
import { bash, node, PRELUDE } from "./script.js";

describe("a device", () => {
  test("does not keep the process alive when it is idle", () => {
    const { status, output } = node(`openDevice({ threads: 2 }); console.log("end");`);
    expect({ status, output }).toEqual({ status: 0, output: "end" });
  });

  test("keeps the process alive while a run is awaited", () => {
    const { status, output } = node(`busy(openDevice({ threads: 2 }), 20).run().then(() => console.log("done"));`);
    expect({ status, output }).toEqual({ status: 0, output: "done" });
  });

  test("process.exit() in mid-run ends the process with its own status", () => {
    const { status, signal } = node(
      `const { device } = await midRun(2000);
       process.exit(7);`,
    );
    expect({ status, signal }).toEqual({ status: 7, signal: null });
  });

  test("dispose() in mid-run rejects the run with ERR_DISPOSED, soon", () => {
    const { output, status } = node(`
      const { device, run } = await midRun(2000);
      const said = run.catch((error) => console.log(error.code));
      const before = process.cpuUsage();
      await device.dispose();
      await said;
      console.log(processorTime(before) < 1000);
      await device.run(null).catch((error) => console.log(error.code));`);
    expect({ status, output }).toEqual({ status: 0, output: "ERR_DISPOSED\ntrue\nERR_DISPOSED" });
  });

  test("terminating a worker in mid-run leaves the process whole", () => {
    const { output, status } = node(`
      const { Worker } = await import("node:worker_threads");
      const worker = new Worker(${JSON.stringify(PRELUDE)} + 'await midRun(2000); (await import("node:worker_threads")).parentPort.postMessage(1);', { eval: true, type: "module" });
      await new Promise((resolve, reject) => worker.once("message", resolve).once("error", reject));
      await worker.terminate();
      await busy(openDevice({ threads: 2 }), 2).run();
      console.log("whole");`);
    expect({ status, output }).toEqual({ status: 0, output: "whole" });
  });

  test("runs in the main thread and in workers at once, each with its own", () => {
    const { output, status } = node(`
      const { Worker } = await import("node:worker_threads");
      const code = ${JSON.stringify(PRELUDE)} + 'for (let i = 0; i < 20; i++) await busy(openDevice({ threads: 1 }), 2).run();';
      const workers = [1, 2].map(() => new Worker(code, { eval: true, type: "module" }));
      await Promise.all(workers.map((worker) => new Promise((resolve, reject) => worker.once("exit", resolve).once("error", reject))));
      await busy(openDevice({ threads: 1 }), 2).run();
      console.log("ok");`);
    expect({ status, output }).toEqual({ status: 0, output: "ok" });
  });

  test("what is let go without dispose() is collected: devices, programs and buffers do not pile up", () => {
    const { output, status } = node(
      `
      const rss = () => { globalThis.gc(); return process.memoryUsage().rss; };
      async function use() {
        const device = openDevice({ threads: 2 });
        const program = busy(device, 2);
        await program.run();
      }
      const settle = async () => { for (let i = 0; i < 5; i++) { globalThis.gc(); await new Promise(setImmediate); } };
      for (let i = 0; i < 10; i++) await use();
      await settle();
      const before = rss();
      for (let i = 0; i < 60; i++) await use(); // each touches 10 MB
      await settle();
      const grown = (rss() - before) / 2 ** 20;
      console.log(grown < 60 ? "steady" : "grew by " + grown + " MB");`,
      ["--expose-gc"],
    );
    expect({ status, output }).toEqual({ status: 0, output: "steady" });
  });

  test("an object of native memory may be collected while its run is in flight", () => {
    const { output, status } = node(
      `
      let device = openDevice({ threads: 2 });
      let program = busy(device, 300);
      const run = program.run();
      program = device = undefined;
      for (let i = 0; i < 5; i++) { globalThis.gc(); await new Promise(setImmediate); }
      await run;
      console.log("done");`,
      ["--expose-gc"],
    );
    expect({ status, output }).toEqual({ status: 0, output: "done" });
  });
});

describe("cancellation", () => {
  test("ends a run within 200 ms of processor time, in the middle of long ops too, and the device goes on", () => {
    const { output, status } = node(`
      const device = openDevice({ threads: 2 });
      const a = device.allocate("a", "f32", [2048 / slow, 2048]), b = device.allocate("b", "f32", [8192, 2048]);
      const r = new Recorder();
      r.output(r.matmul(a, b)); // one op of about half a second
      const long = compile(device, r.finish());
      const controller = new AbortController();
      const first = busy(device, 1).run();
      const run = long.run({ signal: controller.signal }).then(() => console.log("finished"), (error) => console.log(error.code));
      await first; // the long op begins now
      const before = process.cpuUsage();
      controller.abort();
      await run;
      const took = processorTime(before);
      console.log(took < 200 ? "prompt" : took);
      await busy(device, 2).run();
      console.log("goes on");`);
    expect({ status, output }).toEqual({ status: 0, output: "ERR_ABORTED\nprompt\ngoes on" });
  });

  test("ends a run that waits behind another at once, and the other goes on", () => {
    const { output, status } = node(`
      const device = openDevice({ threads: 2 });
      const long = busy(device, 300), short = busy(device, 2);
      const controller = new AbortController();
      const first = long.run().then(() => console.log("first"));
      const second = short.run({ signal: controller.signal }).catch((error) => console.log(error.code));
      const third = short.run().then(() => console.log("third"));
      controller.abort();
      await Promise.all([first, second, third]);`);
    expect({ status, output }).toEqual({ status: 0, output: "ERR_ABORTED\nfirst\nthird" });
  });

  test("a signal that is aborted already starts nothing", () => {
    const { output } = node(
      `await busy(openDevice({ threads: 1 }), 2).run({ signal: AbortSignal.abort() }).catch((error) => console.log(error.code));`,
    );
    expect(output).toBe("ERR_ABORTED");
  });
});

test("an array that is transferred away while its run is in flight is left alone", () => {
  const { output, status } = node(`
    const device = openDevice({ threads: 1 });
    const tensor = device.allocate("t", "f32", [1000]);
    const [kept, gone] = [new Float32Array(1000).fill(7), new Float32Array(1000).fill(7)];
    const run = device.run(null, { reads: [[tensor, gone], [tensor, kept]] });
    const { buffer } = structuredClone(gone, { transfer: [gone.buffer] });
    await run;
    console.log(gone.length, kept.every((x) => x === 0), new Float32Array(buffer).every((x) => x === 7));`);
  expect({ status, output }).toEqual({ status: 0, output: "0 true true" });
});

test("dispose() does not wait for what other devices run", () => {
  const { output, status } = node(`
    const { run } = await midRun(2000);
    const other = openDevice({ threads: 1 });
    const program = busy(other, 1);
    const waits = program.run().catch((error) => error.code);
    const start = performance.now();
    await other.dispose();
    const took = performance.now() - start;
    console.log(await waits, took < 500 ? "at once" : took);
    process.exit();`);
  expect({ status, output }).toEqual({ status: 0, output: "ERR_DISPOSED at once" });
});

describeWhere(!process.env.QUIPU_SANITIZED, "refused memory: the sanitizers' own does not fit a limit")(
  "memory that the system refuses",
  () => {
    /** Programs of one rope: its scratch is 8 bytes a thread and pair. `right` says whether a run gives x, as all angles are 0. */
    const ROTATING = `
    const device = openDevice({ threads: 2 });
    const rotating = (half) => {
      const x = device.allocate("x", "f32", [1, 2 * half]), angles = device.allocate("angles", "f32", [1, half, 2]);
      const r = new Recorder();
      const out = r.output(r.rope(x, angles));
      const program = compile(device, r.finish());
      const right = async () => {
        const value = Math.random();
        const turn = Float32Array.from({ length: 2 * half }, (_, i) => 1 - (i % 2)); // cosine 1, sine 0
        const got = new Float32Array(2 * half);
        await program.run({
          writes: [[x, Float32Array.from({ length: 2 * half }, (_, i) => value + i)], [angles, turn]],
          reads: [[program.output(out), got]],
        });
        return got.every((y, i) => y === Math.fround(value + i));
      };
      return { program, right };
    };
    const code = (run) => run.catch((error) => error.code);`;
    const limited = (script: string) => bash("ulimit -v 9000000", ROTATING + script); // KiB; a large program wants 4 GiB of scratch

    test("once is no memory of later runs, of programs that were there and of new ones", () => {
      const { stdout, status } = limited(`
      const [small, large] = [rotating(2 ** 12), rotating(2 ** 28).program];
      const said = [await small.right()];
      for (let i = 0; i < 3; i++) said.push((await code(large.run())) ?? "ran", await small.right());
      const other = rotating(2 ** 13);
      said.push(await other.right(), await small.right(), await code(large.run()), await other.right());
      large.dispose();
      said.push(await small.right(), device.memory().arena < 2 ** 20);
      console.log(said.join());`);
      const refused = "ERR_OUT_OF_MEMORY";
      const expected = [true, refused, true, refused, true, refused, true, true, true, refused, true, true, true];
      expect({ status, stdout }).toEqual({ status: 0, stdout: `${expected}\n` });
    });

    test("for a tensor or a file is an error, and the device goes on", () => {
      const { stdout, status } = limited(`
      const { truncateSync, writeFileSync, rmSync } = await import("node:fs");
      const path = "/tmp/quipu-refused-" + process.pid;
      writeFileSync(path, "");
      truncateSync(path, 2 ** 34);
      const said = [];
      for (let i = 0; i < 3; i++) {
        try { device.allocate("huge", "f32", [2 ** 32]); } catch (error) { said.push(error.code); }
        for (const mmap of [true, false]) said.push(await code(device.open(path, 2 ** 34, { mmap })));
      }
      rmSync(path);
      said.push(await rotating(2 ** 12).right(), device.memory().state < 2 ** 20);
      console.log([...new Set(said)].join());`);
      expect({ status, stdout }).toEqual({ status: 0, stdout: "ERR_OUT_OF_MEMORY,true\n" });
    });
  },
);
