// Programs in child processes, as a crash would take jest with it.
import { type SpawnSyncOptions, spawnSync } from "node:child_process";
import { join } from "node:path";

const root = process.cwd();
const module = (path: string) => JSON.stringify(join(root, "dist", path));

/** A device, and a program that keeps it busy: matrix products in a row, of fewer rows for the slow kernels under a sanitizer. */
export const PRELUDE = `
const { Device, openDevice } = await import(${module("device/device.js")});
const { chooseTarget } = await import(${module("machine/machine.js")});
const { Recorder } = await import(${module("graph/recorder.js")});
const { compile } = await import(${module("graph/program.js")});
const slow = process.env.QUIPU_SANITIZED ? 32 : 1;
/** Of any number of threads, however many processors there are. */
const deviceOf = (threads) => new Device("cpu", chooseTarget(), threads);
/** Milliseconds of processor time since then: what is left to do takes its own, however many others use the machine. */
const processorTime = (before) => { const { user, system } = process.cpuUsage(before); return (user + system) / 1000; };
function busy(device, products) {
  const rows = 512 / slow;
  const a = device.allocate("a", "f32", [rows, 1024]), b = device.allocate("b", "f32", [1024, 1024]);
  const r = new Recorder();
  let x = r.matmul(a, b);
  for (let i = 1; i < products; i++) x = r.matmul(x, b);
  r.output(x);
  return compile(device, r.finish());
}
/** A device in the middle of a run of so many products: the run before it, of one, is done. */
async function midRun(products) {
  const device = openDevice({ threads: 2 });
  const before = busy(device, 1).run();
  const run = busy(device, products).run();
  await before;
  return { device, run };
}
`;

export function node(script: string, flags: readonly string[] = [], options: SpawnSyncOptions = {}) {
  const result = spawnSync(process.execPath, [...flags, "--input-type=module", "-e", PRELUDE + script], {
    timeout: 250_000,
    ...options,
    encoding: "utf8",
  });
  return { ...result, output: result.stdout.trim() };
}

/** The same after a limit is set, as another user where `options` name one. */
export function bash(limit: string, script: string, options: SpawnSyncOptions = {}) {
  return limited(limit, ["--input-type=module", "-e", PRELUDE + script], options);
}

/** `node …args` under a limit. */
export function limited(limit: string, args: readonly string[], options: SpawnSyncOptions = {}) {
  const { status, signal, stdout, stderr } = spawnSync(
    "bash",
    ["-c", `${limit}; exec "$@"`, "bash", process.execPath, ...args],
    { timeout: 250_000, killSignal: "SIGKILL", ...options, encoding: "utf8" },
  );
  return { status, signal, stdout, stderr };
}
