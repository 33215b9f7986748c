// Devices of one process share its threads and its queue: what one of them does is done in order with the others, and is not
// disturbed when they go.
import { node, PRELUDE } from "./script.js";

/** Sums that pass from device to device: each adds 1 to what the one before it made. */
const CHAIN = `
const { readdirSync } = await import("node:fs");
const { Worker } = await import("node:worker_threads");
const threads = () => readdirSync("/proc/self/task").length;
function chain(devices, length) {
  const size = 20_000; // several tasks
  let from = devices[0].allocate("zero", "f32", [1, size]);
  const one = devices[0].allocate("one", "f32", [1, size]);
  const runs = [devices[0].run(null, { writes: [[one, new Float32Array(size).fill(1)]] })];
  for (let i = 0; i < length; i++) {
    const device = devices[i % devices.length];
    const r = new Recorder();
    const sum = r.output(r.add(from, one));
    const program = compile(device, r.finish());
    runs.push(program.run());
    from = program.output(sum);
  }
  const result = new Float32Array(size);
  runs.push(devices.at(-1).run(null, { reads: [[from, result]] }));
  return Promise.all(runs).then(() => result.every((value) => value === length));
}
/** A worker that runs \`code\` and then says so. */
const workerOf = (code) => {
  const worker = new Worker(${JSON.stringify(PRELUDE)} + code + '; (await import("node:worker_threads")).parentPort.postMessage("ready")', { eval: true, type: "module" });
  return new Promise((resolve, reject) => worker.once("message", () => resolve(worker)).once("error", reject));
};
`;
const script = (code: string, flags: string[] = []) => {
  const { status, output, stderr } = node(CHAIN + code, flags);
  return { status, output, stderr };
};
const saying = (output: string) => ({ status: 0, output, stderr: "" });

test("runs of several devices, of other thread counts, are done first in first out", () => {
  expect(
    script(`
      const devices = [1, 3, 2, 8].map(deviceOf);
      busy(devices[3], 20).run();
      console.log(await chain(devices, 200), await chain(devices.reverse(), 200));`),
  ).toEqual(saying("true true"));
});

test("threads are started with the first device, grow with the largest, and end with the last", () => {
  expect(
    script(`
      const idle = threads();
      const a = deviceOf(2), two = threads() - idle;
      const b = deviceOf(5), five = threads() - idle;
      const c = deviceOf(3), still = threads() - idle;
      await b.dispose();
      await c.dispose();
      const left = threads() - idle;
      console.log(await chain([a], 3));
      await a.dispose();
      console.log(two, five, still, left, threads() - idle);
      const again = deviceOf(2);
      console.log(await chain([again], 3), threads() - idle);`),
  ).toEqual(saying("true\n2 5 5 5 0\ntrue 2"));
});

test("dispose() ends the device's own runs, those that wait too, and leaves others'", () => {
  expect(
    script(`
      const a = deviceOf(2), b = deviceOf(3);
      const codeOf = (run) => run.then(() => "done", (error) => error.code);
      const program = busy(a, 2000);
      const runs = [busy(b, 2).run(), program.run(), busy(b, 4).run(), program.run(), chain([b], 9)].map(codeOf);
      await runs[0]; // a's first run is next, or has begun
      await a.dispose();
      console.log((await Promise.all(runs)).join(" "));
      console.log(await chain([b], 50));`),
  ).toEqual(saying("done ERR_DISPOSED done ERR_DISPOSED done\ntrue"));
});

test("a worker that ends takes its runs along, the running one and those that wait, and no others", () => {
  expect(
    script(`
      const device = deviceOf(2);
      const code = 'const d = deviceOf(3); const program = busy(d, 2000); program.run(); program.run(); program.run()';
      const workers = await Promise.all([workerOf(code), workerOf(code)]);
      const behind = chain([device], 20); // waits for what the workers have queued
      await Promise.all(workers.map((worker) => worker.terminate()));
      console.log(await behind);`),
  ).toEqual(saying("true"));
});

test("workers and the main thread at work at once", () => {
  expect(
    script(`
      const code = ${JSON.stringify(CHAIN)} + 'for (let i = 1; i < 6; i++) if (!await chain([deviceOf(i), deviceOf(2)], 20)) throw new Error("wrong")';
      const workers = [workerOf(code), workerOf(code)];
      const device = deviceOf(4);
      const mine = [];
      for (let i = 0; i < 20; i++) mine.push(await chain([device], 10));
      await Promise.all(workers);
      console.log(mine.every(Boolean));`),
  ).toEqual(saying("true"));
});

test("process.exit() with runs that run and runs that wait, on several devices", () => {
  const { status, stderr } = script(`
    const devices = [1, 2, 3].map(deviceOf);
    const programs = devices.map((device) => busy(device, 2000));
    for (let i = 0; i < 9; i++) programs[i % 3].run();
    await workerOf('busy(deviceOf(2), 2000).run()');
    process.exit(7);`);
  expect({ status, stderr }).toEqual({ status: 7, stderr: "" });
});
