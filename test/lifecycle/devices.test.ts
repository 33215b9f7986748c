// Devices of one process share its threads and its queue: what one of them does is done in order with the others, and is not
// disturbed when they go.
import { node, PRELUDE } from "./script.js";

/** Sums in turn on several devices: each run adds 1 to what the device's run before it made, and they end in order. */
const CHAIN = `
const { readdirSync } = await import("node:fs");
const { Worker } = await import("node:worker_threads");
const threads = () => readdirSync("/proc/self/task").length;
async function chain(devices, length) {
  const size = 20_000; // several tasks
  const sums = devices.map((device) => {
    const tensor = (name) => device.allocate(name, "f32", [1, size]);
    return { device, from: tensor("zero"), one: tensor("one"), runs: [], ended: [], made: 0 };
  });
  for (const { device, one } of sums) device.run(null, { writes: [[one, new Float32Array(size).fill(1)]] });
  for (let i = 0; i < length; i++) {
    const sum = sums[i % sums.length];
    const r = new Recorder();
    const next = r.output(r.add(sum.from, sum.one));
    const program = compile(sum.device, r.finish());
    const number = sum.made++;
    sum.runs.push(program.run().then(() => sum.ended.push(number)));
    sum.from = program.output(next);
  }
  const results = sums.map(async ({ device, from, runs, ended, made }) => {
    const result = new Float32Array(size);
    await Promise.all([...runs, device.run(null, { reads: [[from, result]] })]);
    return result.every((value) => value === made) && ended.every((number, i) => number === i);
  });
  return (await Promise.all(results)).every(Boolean);
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

test("runs of several devices, of other thread counts, in turn", () => {
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
