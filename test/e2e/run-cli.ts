// Starts the built command line as a user does, and gathers what it writes.
import { type ChildProcess, type SpawnOptions, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import type { Readable } from "node:stream";

export const ROOT = process.cwd();
export const CLI = join(ROOT, "bin/quipu.js");

export interface Result {
  /** The exit status; null where a signal that was not caught ended it. */
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  /** What is on stdin, which then ends; default: nothing. */
  readonly input?: string | Uint8Array;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

// Processes at once: more would only wait for each other's cores.
const MOST = 2;
let running = 0;
const waiting: (() => void)[] = [];

/** `node bin/quipu.js` with these arguments. */
export function quipu(args: readonly string[], options: RunOptions = {}): Promise<Result> {
  return inTurn(() => finish(spawnCli([CLI, ...args], options), options.input ?? ""));
}

/** A script of bash, in which `quipu` is the command line. */
export function bash(script: string, options: RunOptions = {}): Promise<Result> {
  const prelude = `quipu() { "${process.execPath}" "${CLI}" "$@"; }\n`;
  return inTurn(() => finish(spawnCli(["-c", prelude + script], options, "bash"), options.input ?? ""));
}

/** Says on file 3 that the process answers signals itself, and at its end how many microseconds of processor time it had. */
const TOLD = `data:text/javascript,import { writeSync } from "node:fs";
process.on("newListener", (name) => name === "SIGTERM" && process.nextTick(writeSync, 3, "ready;"));
process.on("exit", () => writeSync(3, Object.values(process.cpuUsage()).join() + ";"));`;
const told = new WeakMap<ChildProcess, string>();

/** One that is told what to do while it runs; its stdin stays open until the caller ends it. */
export function startQuipu(args: readonly string[]): ChildProcess {
  const child = spawn(process.execPath, ["--import", TOLD, CLI, ...args], {
    cwd: ROOT,
    stdio: ["pipe", "pipe", "pipe", "pipe"],
    timeout: 250_000,
  });
  child.stdio[3]!.on("data", (said) => told.set(child, (told.get(child) ?? "") + said));
  return child;
}

/** Resolves when a signal is the process's own to answer. */
export async function handlesSignals(child: ChildProcess): Promise<void> {
  while (!told.has(child)) await once(child.stdio[3]!, "data");
}

/** Milliseconds of processor time that a process had in all, once it has ended. */
export async function processorTimeInAll(child: ChildProcess): Promise<number> {
  const said = child.stdio[3] as Readable;
  if (!said.readableEnded) await once(said, "end");
  const [user = Number.NaN, system = Number.NaN] = told.get(child)!.split(";").at(-2)!.split(",").map(Number);
  return (user + system) / 1000;
}

function spawnCli(args: readonly string[], { env, cwd = ROOT }: RunOptions, command = process.execPath): ChildProcess {
  const options: SpawnOptions = { cwd, env: { ...process.env, ...env }, stdio: "pipe", timeout: 250_000 };
  return spawn(command, args, options);
}

/** Waits for the end. stdout and stderr must be UTF-8 as a whole. */
export async function finish(child: ChildProcess, input?: string | Uint8Array): Promise<Result> {
  child.stdin?.on("error", () => {}); // it may end before it has read everything
  if (input !== undefined) child.stdin?.end(input);
  const chunks: { stdout: Buffer[]; stderr: Buffer[] } = { stdout: [], stderr: [] };
  child.stdout?.on("data", (chunk: Buffer) => chunks.stdout.push(chunk));
  child.stderr?.on("data", (chunk: Buffer) => chunks.stderr.push(chunk));
  const status = await new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  });
  const text = (name: "stdout" | "stderr") =>
    new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(Buffer.concat(chunks[name]));
  return { status, stdout: text("stdout"), stderr: text("stderr") };
}

async function inTurn<T>(run: () => Promise<T>): Promise<T> {
  while (running >= MOST) await new Promise<void>((resolve) => waiting.push(resolve));
  running += 1;
  try {
    return await run();
  } finally {
    running -= 1;
    waiting.shift()?.();
  }
}

/** The events of --json; every line must be JSON. */
export function eventsOf(stdout: string) {
  expect(stdout.endsWith("\n")).toBe(true);
  return stdout
    .slice(0, -1)
    .split("\n")
    .map((line) => JSON.parse(line));
}
