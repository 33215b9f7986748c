// quipu plan, and what would fit where memory is refused, as a user meets it: tables, JSON, exit status, limits of the process.
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type LoadPlan, loadModel } from "#quipu/index.js";
import { TINY_CONFIG, temporaryFolder, writeCheckpoint } from "../checkpoint-writer.js";
import { HubServer, tinyModelFiles, useHub } from "../hub.js";
import { writeHollowWeights } from "./models.js";
import { bash, quipu } from "./run-cli.js";

const root = temporaryFolder();
const output = async (...args: string[]) => {
  const { status, stdout, stderr } = await quipu(["plan", ...args]);
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  return stdout;
};
/** A cache of 128 KiB a position in f32: two TiB at full context. */
const wide = join(root, "wide");
writeCheckpoint(wide, {
  config: { ...TINY_CONFIG, head_dim: 2048, num_key_value_heads: 4, max_position_embeddings: 2 ** 24 },
});

test("a table of formats and one of caches", async () => {
  const text = await output("--no-speed");
  const [facts, weights, caches] = text.split("\n\n").map((part) => part.trimEnd().split("\n"));
  expect(facts!.map((line) => line.slice(0, 11).trimEnd())).toEqual(["model", "size", "machine"]);
  expect(facts![0]).toMatch(/models\/storyteller$/);
  expect(facts![1]).toBe("size       2.36 M parameters in 5 layers; 1 file of 4.5 MiB");
  expect(weights![0]).toMatch(/^weights +bits +size +cache +positions +workspace +in all +fits +longest context$/);
  expect(weights!.slice(1).map((line) => line.split(/ {2,}/).slice(0, 2))).toEqual(
    [
      ["none", "16.00"],
      ["q8", "8.51"],
      ["q4", "5.00"],
    ].map(([name, bits]) => [name, bits]),
  );
  expect(weights![1]).toMatch(/ 4.5 MiB +f16 640.0 KiB +512 .* yes +512 \(all\)$/);
  expect(caches).toEqual([
    "cache  a position  at 512",
    "f32    2.5 KiB     1.3 MiB",
    "f16    1.3 KiB     640.0 KiB",
    "int8   720 B       360.0 KiB",
  ]);
});

test("what was chosen is planned alone, however it is given", async () => {
  const text = await output("storyteller", "-q", "q8", "--kv-cache", "int8", "-c", "128", "-t", "1", "--no-speed");
  expect(text).toContain(" 1 thread;");
  const [, weights, caches] = text.split("\n\n").map((part) => part.trimEnd().split("\n"));
  expect([weights!.length, caches!.length]).toEqual([2, 2]);
  expect(weights![1]).toMatch(/^q8 +8.51 +2.4 MiB +int8 90.0 KiB +128 /);
  const same = await output(
    "-m",
    "storyteller",
    "-q",
    "q8",
    "--kv-cache",
    "int8",
    "-c",
    "128",
    "-t",
    "1",
    "--no-speed",
  );
  const withoutFree = (all: string) => all.replace(/^machine.*$/m, "");
  expect(withoutFree(same)).toBe(withoutFree(text));
});

test("--json has the numbers of a load, and the speed to expect of each format", async () => {
  const plan = JSON.parse(await output("--json", "--kv-cache", "f16", "-t", "1"));
  expect(Object.keys(plan).sort()).toEqual([
    "config",
    "cpu",
    "files",
    "freeMemory",
    "head",
    "loads",
    "parameters",
    "roofs",
    "target",
    "threads",
    "warnings",
    "where",
  ]);
  expect(Object.keys(plan.roofs)).toEqual(["readBandwidth", "peak", "integerPeak"]);
  expect(plan.loads).toHaveLength(3);
  for (const load of plan.loads) {
    expect(Object.keys(load)).toEqual([
      ...["quantize", "kvCache", "weightBytes", "weightBytesPerToken", "bitsPerWeight", "formats", "contextLength"],
      ...["cacheBytes", "cacheBytesPerPosition", "stateBytes", "arenaBytes", "totalBytes", "fits", "largestContext"],
      "speed",
    ]);
    expect(load.speed).toMatchObject({ promptTokens: 512, depth: 64, measuredLayers: 5 });
    for (const rate of ["prompt", "decode", "readBytesPerSecond"]) expect(load.speed[rate]).toBeGreaterThan(0);
  }
  await using model = await loadModel(undefined, { slots: 1, threads: 1, kvCache: "f16" });
  for await (const _ of model.generate("x", { maxTokens: 2 }));
  const { weightBytes, cacheBytes, arenaBytes } = model.stats();
  expect(plan.loads[0]).toMatchObject({ weightBytes, cacheBytes, arenaBytes });
});

test("a load that does not fit: the table, and exit status 5 with what would fit; which then does", async () => {
  const { status, stdout, stderr } = await quipu([
    "plan",
    wide,
    "-c",
    "16777216",
    "-q",
    "none",
    "--kv-cache",
    "f32",
    "--no-speed",
  ]);
  expect(status).toBe(5);
  expect(stdout).toMatch(/^none .* no +\d+$/m);
  const [, most] =
    /^quipu: \S+wide as it is with a f32 cache of 16777216 positions needs \d+ MiB, \d+ MiB are free\. What fits: --ctx-size (\d+)\.\n$/.exec(
      stderr,
    ) ?? [];
  expect(Number(most)).toBeGreaterThan(64);
  const some = String(Math.floor(0.9 * Number(most))); // others use the memory too
  const fits = await quipu(["plan", wide, "-c", some, "-q", "none", "--kv-cache", "f32", "--no-speed", "--json"]);
  expect(fits).toMatchObject({ status: 0, stderr: "" });
  expect((JSON.parse(fits.stdout).loads as LoadPlan[])[0]).toMatchObject({ fits: true });
});

describe("under `ulimit -v`", () => {
  const limited = async (kibibytes: number, command: string) => {
    const { stdout, stderr } = await bash(`ulimit -v ${kibibytes}; quipu ${command}; echo "status $?" >&2`);
    return { stdout, stderr };
  };

  test("a plan counts what the process may still map", async () => {
    const { stdout, stderr } = await limited(9_000_000, `plan "${wide}" --no-speed --json`);
    expect(stderr).toBe("status 0\n");
    const plan = JSON.parse(stdout);
    expect(plan.freeMemory).toBeLessThan(9_000_000 * 1024);
    expect(plan.loads[0].largestContext).toBeLessThan(2 ** 24);
    expect(plan.loads[0].largestContext).toBeGreaterThan(0);
  });

  test("a plan leaves 64 MiB of it to JavaScript", async () => {
    const code = `const { budgetNow } = await import(process.cwd() + "/dist/generate/fitting.js");
      const { availableAddressSpace } = await import(process.cwd() + "/dist/machine/process-limits.js");
      budgetNow(); // what it maps for itself is mapped then
      console.log(JSON.stringify({ left: availableAddressSpace() - budgetNow().addressSpace, memory: budgetNow().memory }));`;
    const { stdout } = await bash(`ulimit -v 2500000; "${process.execPath}" --input-type=module -e '${code}'`);
    const { left, memory } = JSON.parse(stdout);
    expect(memory).toBeGreaterThan(0);
    expect(Math.abs(left - 2 ** 26)).toBeLessThan(2 ** 24); // something may be mapped meanwhile
  });

  test("a plan whose measurement is refused memory is a plan without speeds, and says why", async () => {
    const { freeMemory } = JSON.parse((await limited(3_600_000, "plan -t 2 --no-speed --json")).stdout);
    const taken = 3_600_000 - freeMemory / 1024;
    // What a process maps for itself differs from run to run by some 20 MiB, or by an arena of malloc's, which is 64: such a plan is
    // searched for from the middle.
    let without = false;
    for (let step = 0; step < 24 && !without; step++) {
      const left = 56 + Math.ceil(step / 2) * (step % 2 === 0 ? -8 : 8);
      const { stdout, stderr } = await limited(Math.round(taken + left * 1024), "plan -q none -t 2");
      if (/ needs \d+ MiB, \d+ MiB are free/.test(stderr) || stdout.includes("t/s")) continue;
      without = true;
      expect(stderr).toMatch(
        /^quipu: no speed is expected: the system refused \d+ bytes of memory \(--no-speed leaves it out\)\nstatus 0\n$/,
      );
      expect(stdout).toMatch(/^none +16\.00 .* yes +\d+/m);
    }
    expect(without).toBe(true);
  });

  test("a plan of which no layer can be measured is a plan without speeds, and says so", async () => {
    const LIMIT = 3_600_000;
    const { freeMemory } = JSON.parse((await limited(LIMIT, "plan --no-speed --json")).stdout);
    const folder = join(root, "heavy"); // its layer has more than the half of it that a sample may have
    const config = {
      ...{ ...TINY_CONFIG, num_hidden_layers: 1, hidden_size: 1024, head_dim: 256 },
      intermediate_size: 32 * Math.floor((0.7 * freeMemory) / (3 * 4 * 1024 * 32)),
    };
    mkdirSync(folder);
    writeFileSync(join(folder, "config.json"), JSON.stringify(config));
    writeHollowWeights(folder, config);
    const plan = (...args: string[]) => limited(LIMIT, `plan "${folder}" -q none -b 1 -t 1 ${args.join(" ")}`);
    const { stdout, stderr } = await plan();
    expect(stderr).toBe(
      "quipu: no speed is expected: there is no memory for a layer of it in none (--no-speed leaves it out)\nstatus 0\n",
    );
    expect(stdout).toMatch(/^none +32\.00 .* yes +\d+/m);
    expect(stdout).not.toContain("t/s");
    const json = await plan("--json", "--quiet");
    expect(json.stderr).toBe("status 0\n");
    expect(JSON.parse(json.stdout)).toMatchObject({ speedProblem: "there is no memory for a layer of it in none" });
  });

  test("a load refused says what would fit, and that does", async () => {
    const say = (context: string) => limited(4_000_000, `-m "${wide}" --kv-cache f32 -t 1 -c ${context} --raw hi`);
    // Without a tokenizer there is no prompt; the library has the load by itself.
    expect((await say("64")).stderr).toContain("no tokenizer");
    const load = (context: number) => {
      const code = `const { loadModel } = await import(process.cwd() + "/dist/index.js");
        const options = { tokenizer: false, slots: 1, threads: 1, kvCache: "f32", contextLength: ${context} };
        try {
          const model = await loadModel(${JSON.stringify(wide)}, options);
          for await (const _ of model.generate(Int32Array.of(1, 2, 3), { maxTokens: 2, ignoreEos: true }));
          console.log("ran");
        } catch (error) { console.log(JSON.stringify([error.code, error.option, error.fitting])); }`;
      return bash(`ulimit -v 4000000; "${process.execPath}" --input-type=module -e '${code}'`);
    };
    const [code, option, fitting] = JSON.parse((await load(2 ** 20)).stdout);
    expect([code, option]).toEqual(["ERR_OUT_OF_MEMORY", "contextLength"]);
    expect(fitting.contextLength).toBeGreaterThan(64);
    expect(await load(fitting.contextLength)).toMatchObject({ stdout: "ran\n" });
  });

  test("a step refused says what would fit, and that does", async () => {
    const folder = join(root, "broad"); // 65536 rows of its feed-forward block take two GiB
    writeCheckpoint(folder, {
      config: { ...TINY_CONFIG, intermediate_size: 8192, max_position_embeddings: 65_536, num_hidden_layers: 1 },
    });
    const run = (batchSize: number) => {
      const code = `const { loadModel } = await import(process.cwd() + "/dist/index.js");
        const options = { tokenizer: false, slots: 1, threads: 1, batchSize: ${batchSize} };
        const model = await loadModel(${JSON.stringify(folder)}, options);
        try {
          for await (const _ of model.generate(Int32Array.of(1, 2, 3), { maxTokens: 2, ignoreEos: true }));
          console.log("ran");
        } catch (error) { console.log(JSON.stringify([error.code, error.fitting?.batchSize])); }`;
      return bash(`ulimit -v 2600000; "${process.execPath}" --input-type=module -e '${code}'`);
    };
    const [code, batchSize] = JSON.parse((await run(65_536)).stdout);
    expect([code, batchSize]).toEqual(["ERR_OUT_OF_MEMORY", 256]);
    expect(await run(batchSize)).toMatchObject({ stdout: "ran\n" });
  });

  test("without options a load takes what there is", async () => {
    const { stdout, stderr } = await limited(2_500_000, `-s 3 -n 4 -t 1 "Once upon a time"`);
    expect({ stdout, stderr }).toEqual({ stdout: ", there was a", stderr: "status 0\n" });
  });
});

test("a name that is not here is planned from the hub, and nothing is fetched", async () => {
  const server = await HubServer.start();
  try {
    const { cache, env } = useHub(server, root);
    server.commit("org/tiny", tinyModelFiles());
    const { status, stdout, stderr } = await quipu(["plan", "org/tiny", "-q", "q8", "--no-speed"], { env });
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(stdout).toMatch(/^model {6}org\/tiny\n/);
    expect(existsSync(cache)).toBe(false);
    const { status: refused, stderr: why } = await quipu(["plan", "org/other", "--no-speed"], { env });
    expect({ refused, why }).toEqual({
      refused: 3,
      why: expect.stringMatching(/^quipu: org\/other: .* no such repository/),
    });
    server.options = { fault: () => ({ drop: "before" }) };
    expect(await quipu(["plan", "org/tiny", "--no-speed"], { env })).toEqual({
      ...{ status: 3, stdout: "" },
      stderr: `quipu: 127.0.0.1:${server.port}: the connection was dropped, 3 times. org/tiny is not in the cache, or not all of it, so the hub is asked for its headers. Try again later, or plan a model that is here: \`quipu models\` lists them.\n`,
    });
  } finally {
    await server.close();
  }
});

test("no model, a wrong option, two models", async () => {
  expect(await quipu(["plan", join(root, "nowhere"), "--no-speed"])).toMatchObject({ status: 3, stdout: "" });
  expect(await quipu(["plan", "--quantise", "q8"])).toMatchObject({ status: 2, stdout: "" });
  expect(await quipu(["plan", "-c", "513", "--no-speed"])).toMatchObject({
    ...{ status: 2, stdout: "" },
    stderr: "quipu: --ctx-size: expected a whole number from 2 to 512, as the model has, got 513\n",
  });
  expect(await quipu(["plan", "storyteller", "another"])).toMatchObject({ status: 2, stdout: "" });
  expect(await quipu(["plan", "storyteller", "-m", "another"])).toEqual({
    ...{ status: 2, stdout: "" },
    stderr: "quipu: plan: expected one model, got storyteller and -m another\n",
  });
});
