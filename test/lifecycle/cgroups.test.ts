// Small containers: cgroups that limit processes or memory, where this user can make some. What does not fit is an error or is
// done with less; nothing is killed.
import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { temporaryFolder } from "../checkpoint-writer.js";
import { SLOW_CONFIG, writeSlowCheckpoint } from "../slow-checkpoint.js";
import { describeWhere } from "../where.js";
import { limited } from "./script.js";

const MIB = 2 ** 20;
const LIMITS = { pids: ["pids.max", "pids.max"], memory: ["memory.max", "memory.limit_in_bytes"] } as const;
const made: string[] = [];
afterAll(() => {
  for (const folder of made) rmdirSync(folder);
});

/** A cgroup of version 2 or 1 with a limit, or why there is none. */
function cgroup(controller: keyof typeof LIMITS, limit: number): string | Error {
  const [version2, version1] = LIMITS[controller];
  try {
    const unified = readControllers().includes(controller);
    if (unified) writeFileSync("/sys/fs/cgroup/cgroup.subtree_control", `+${controller}`);
    const folder = join("/sys/fs/cgroup", unified ? "" : controller, `quipu-test-${process.pid}-${made.length}`);
    mkdirSync(folder);
    made.push(folder);
    writeFileSync(join(folder, unified ? version2 : version1), String(limit));
    return folder;
  } catch (error) {
    return error as Error;
  }
}

function readControllers(): string[] {
  try {
    return readFileSync("/sys/fs/cgroup/cgroup.controllers", "utf8").trim().split(" ");
  } catch {
    return [];
  }
}

const possible = (["pids", "memory"] as const).map((controller) => cgroup(controller, 2 ** 30));
const reason = possible.find((folder) => folder instanceof Error);
const fits = process.env.QUIPU_SANITIZED === undefined;
const why = fits ? `small cgroups: ${reason}` : "small cgroups: the sanitizers' own memory does not fit them";

/** `node …args` inside a new cgroup. A node that has no threads may hang. */
function inside(controller: keyof typeof LIMITS, limit: number, args: readonly string[]) {
  return limited(`echo $$ > ${cgroup(controller, limit)}/cgroup.procs`, args, { timeout: 250_000 });
}

describeWhere(fits && reason === undefined, why)("in a small cgroup", () => {
  test("a device has the threads that there are, or is an error", () => {
    const story = ["bin/quipu.js", "Once upon a time", "-n", "3", "-s", "3", "-t", "2", "--no-stdin"];
    const pool = ["-e", 'require("node:fs").readFile("package.json", () => console.log("ok"))'];
    let least = 10; // with which node itself runs, its thread pool included
    while (least < 64 && inside("pids", least, pool).stdout !== "ok\n") least += 1;
    const results = [0, 1, 2, 3, 4].map((more) => inside("pids", least + more, story));
    for (const { status, signal, stdout, stderr } of results) {
      expect(signal).toBeNull();
      if (status === 0) expect({ stdout, stderr }).toEqual({ stdout: ", there was", stderr: "" });
      else {
        expect({ status, stderr }).toEqual({
          status: 6,
          stderr: expect.stringMatching(/^quipu: the system refuses to start a thread: /),
        });
      }
    }
    expect(results.at(-1)!.status).toBe(0);
  }, 120_000);

  const large = { ...SLOW_CONFIG, num_hidden_layers: 24 }; // 150 MiB or more
  const slow = writeSlowCheckpoint(join(temporaryFolder(), "slow"), large);
  const say = (options: object) => [
    "--input-type=module",
    "-e",
    `const { loadModel } = await import(process.cwd() + "/dist/index.js");
     try {
       const model = await loadModel(${JSON.stringify(slow)}, { tokenizer: false, contextLength: 64, ...${JSON.stringify(options)} });
       let tokens = 0;
       for await (const { type } of model.generate(Int32Array.of(1, 2, 3), { maxTokens: 2, ignoreEos: true })) tokens += type === "token";
       await model.dispose();
       console.log(tokens);
     } catch (error) { console.log(error.code); }`,
  ];

  test("weights that do not fit are refused where they are read, or packed into memory, and come and go where they are mapped, or packed into a file", () => {
    const run = (options: object, limit = 128 * MIB) => {
      const { status, signal, stdout } = inside("memory", limit, say(options));
      return { status, signal, stdout: stdout.trim() };
    };
    expect(run({ mmap: false })).toEqual({ status: 0, signal: null, stdout: "ERR_OUT_OF_MEMORY" });
    const q8 = { quantize: "q8" };
    expect(run({ ...q8, cache: false }, 96 * MIB)).toEqual({ status: 0, signal: null, stdout: "ERR_OUT_OF_MEMORY" });
    for (let i = 0; i < 2; i++) expect(run(q8, 96 * MIB)).toEqual({ status: 0, signal: null, stdout: "2" });
    expect(run({})).toEqual({ status: 0, signal: null, stdout: "2" });
  }, 120_000);
});
