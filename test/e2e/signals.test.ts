// Rule 5 of the pipe contract: Ctrl-C and SIGTERM, whatever the process is doing.
import type { ChildProcess } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { temporaryFolder } from "../checkpoint-writer.js";
import { alteredStoryteller } from "./models.js";
import { hasComputed, hasRead, hasWorked, isAsleep, processorTime } from "./process-state.js";
import { bash, eventsOf, finish, handlesSignals, processorTimeInAll, quipu, startQuipu } from "./run-cli.js";

// What a process may still do after a signal, in processor time, which does not grow where others use the machine. It has a
// quarter of a second, with two threads at most; all that is interrupted here has seconds left.
const SOON = 1000;
/** Milliseconds after which a process that does nothing waits for something that it should not. */
const STUCK = 5000;

const dir = temporaryFolder();
/** Generates for ten seconds, and takes as long for a prompt that fills it. */
const LONG = alteredStoryteller(join(dir, "long"), { max_position_embeddings: 16384 });
const GENERATE = ["-m", LONG, "Once upon a time", "-n", "-1", "-s", "1", "--ignore-eos", "-t", "1"];

/** Sends the signal and waits for the end, which must be soon. */
async function interrupt(child: ChildProcess, signal: NodeJS.Signals = "SIGINT") {
  return endsSoon(child, signal, finish(child));
}

async function endsSoon<T>(child: ChildProcess, signal: NodeJS.Signals, ended: Promise<T>): Promise<T> {
  const before = processorTime(child);
  const start = performance.now();
  child.kill(signal);
  const result = await ended;
  const took = performance.now() - start;
  expect((await processorTimeInAll(child)) - before).toBeLessThan(SOON);
  expect(took).toBeLessThan(STUCK);
  return result;
}

const firstData = (child: ChildProcess) => new Promise<void>((resolve) => child.stdout!.once("readable", resolve));

describe("while text is generated", () => {
  test.each([
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const)("%s ends it with %i, and what was printed is whole", async (signal, status) => {
    const child = startQuipu(GENERATE);
    child.stdin!.end();
    await firstData(child);
    const { stdout, ...rest } = await interrupt(child, signal);
    expect(rest).toEqual({ status, stderr: "" });
    const known = (await quipu([...GENERATE, "-n", "400"])).stdout;
    const [short = "", long = ""] = [stdout, known].sort((a, b) => a.length - b.length);
    expect(stdout).not.toBe("");
    expect(long.startsWith(short)).toBe(true);
  });

  test("the events of --json end with an end event that says abort", async () => {
    const child = startQuipu([...GENERATE, "--json"]);
    child.stdin!.end();
    await firstData(child);
    const { status, stdout } = await interrupt(child);
    expect(status).toBe(130);
    const events = eventsOf(stdout);
    const tokens = events.filter(({ type }) => type === "token");
    expect(events.at(-1)).toMatchObject({ type: "end", reason: "abort", usage: { completionTokens: tokens.length } });
  });
});

test("in the middle of a long prompt it ends as soon", async () => {
  const child = startQuipu(["-m", LONG, "-t", "1", "--json"]);
  child.stdin!.end("Once upon a time there was a dog. ".repeat(1600)); // 14,400 tokens
  await firstData(child); // the start event: the prompt is encoded, its first step begins
  const { status, stdout } = await interrupt(child);
  expect({ status, types: eventsOf(stdout).map(({ type }) => type) }).toEqual({ status: 130, types: ["start", "end"] });
});

test.each<[string, string[]]>([
  ["generate", []],
  ["tokens", ["tokens"]],
  ["next", ["next"]],
  ["inspect prompt", ["inspect", "prompt"]],
])("while stdin is read: %s", async (_, args) => {
  const child = startQuipu(args);
  child.stdin!.write("not yet at its end");
  await handlesSignals(child);
  expect(await interrupt(child)).toEqual({ status: 130, stdout: "", stderr: "" });
});

const atOnce = async () => {};
const inKernels = (child: ChildProcess) => hasComputed(child, 200);

test.each<[string, (child: ChildProcess) => Promise<void>, string[]]>([
  ["a model that is loading", atOnce, ["hi", "-n", "500", "--ignore-eos"]],
  ["a benchmark", atOnce, ["benchmark", "-m", LONG, "--prompt-tokens", "16000"]],
  ["a benchmark's long prompt", inKernels, ["benchmark", "-m", LONG, "--prompt-tokens", "16000"]],
  ["the measuring of doctor", inKernels, ["doctor"]],
])("while it works: %s", async (_, begun, args) => {
  const child = startQuipu(args);
  child.stdin!.end();
  await handlesSignals(child);
  await begun(child);
  const { status, stderr } = await interrupt(child, "SIGTERM");
  expect({ status, stderr }).toEqual({ status: 143, stderr: "" });
});

// Opening such a pipe holds a thread that process.exit waits for.
test.each([
  ["a prompt", ["-f"]],
  ["a conversation", ["--messages"]],
  ["a text to count", ["tokens", "-f"]],
])("while %s is awaited from a pipe that nobody writes to", async (_, args) => {
  const pipe = join(dir, "pipe");
  await bash(`test -p "${pipe}" || mkfifo "${pipe}"`);
  const child = startQuipu([...args, pipe]);
  child.stdin!.end();
  await handlesSignals(child);
  await isAsleep(child);
  const { status, stderr } = await interrupt(child);
  expect({ status, stderr }).toEqual({ status: 130, stderr: "" });
});

test("while a reader does not read, the process ends all the same", async () => {
  const child = startQuipu([...GENERATE, "--json", "--logprobs", "20"]);
  child.stdin!.end();
  await firstData(child);
  await isAsleep(child); // the pipes are full
  const ended = new Promise<number | null>((resolve) => child.once("exit", resolve));
  expect(await endsSoon(child, "SIGINT", ended)).toBe(130);
  child.stdout!.resume();
});

test("a second signal finds nothing to wait for", async () => {
  const child = startQuipu(GENERATE);
  child.stdin!.end();
  await firstData(child);
  child.kill("SIGINT");
  const { status, stderr } = await interrupt(child);
  expect({ status, stderr }).toEqual({ status: 130, stderr: "" });
});

test("timeout(1) and a pipeline see the status", async () => {
  const { stdout } = await bash(
    `timeout 1 "${process.execPath}" bin/quipu.js ${GENERATE.map((arg) => `"${arg}"`).join(" ")} --no-stdin | cat > /dev/null; echo "\${PIPESTATUS[0]}"`,
  );
  expect(stdout).toBe("124\n"); // timeout's own: quipu has ended at its SIGTERM
});

describe("while tokens are counted", () => {
  // One piece, whose bytes have to be merged together: seconds at the end of the file.
  const piece = join(dir, "piece.txt");
  const words = join(dir, "words.txt");
  beforeAll(() => {
    writeFileSync(piece, "a".repeat(1e8));
    writeFileSync(words, "Once upon a time there was a dog. ".repeat(1e5));
  });
  test.each<[string, number, string[]]>([
    ["a piece of many megabytes", 1e8, ["-f", piece]],
    ["many tokens that are shown", 3e6, ["--show", "-f", words]],
    ["an endless pipe", 1e8, ["-f", "/dev/zero"]],
  ])("%s", async (_, bytes, args) => {
    const child = startQuipu(["tokens", ...args]);
    child.stdin!.end();
    child.stdout!.resume();
    await handlesSignals(child);
    await hasRead(child, bytes);
    await hasWorked(child, 100);
    const { status, stderr } = await interrupt(child);
    expect({ status, stderr }).toEqual({ status: 130, stderr: "" });
  });
});
