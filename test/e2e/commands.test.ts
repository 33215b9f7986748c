// next, inspect, doctor and benchmark.
import { loadModel } from "#quipu/index.js";
import { quipu } from "./run-cli.js";

/** stdout of a command that must succeed in silence. */
async function output(args: readonly string[], input = ""): Promise<string> {
  const { status, stdout, stderr } = await quipu(args, { input });
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  return stdout;
}

describe("next", () => {
  test("ranks what the library ranks, with probabilities", async () => {
    await using model = await loadModel();
    const expected = await model.next("Once upon a", { top: 3 });
    const { tokens } = JSON.parse(await output(["next", "--top", "3", "--json", "Once upon a"]));
    expect(tokens).toEqual(expected.map((token) => ({ ...token, probability: Math.exp(token.logprob) })));
    expect(tokens[0]).toMatchObject({ text: " time" });
  });

  test("as a table", async () => {
    const lines = (await output(["next", "Once upon a"])).split("\n");
    expect(lines[0]).toMatch(/^rank +id +probability +logprob +text$/);
    expect(lines[1]).toMatch(/^ +1 +\d+ +99.\d\d % +-0.\d{4} +" time"$/);
    expect(lines).toHaveLength(12); // header, ten, the end
  });

  test("takes a prompt that fills the context, and refuses a longer one", async () => {
    const fill = ["next", "-c", "8", "--json", "a b c d e f g"]; // BOS and seven
    expect(JSON.parse(await output(fill)).tokens).toHaveLength(10);
    expect(await quipu([...fill, "h"])).toMatchObject({ status: 4, stdout: "" });
  });
});

describe("inspect", () => {
  test("says what a checkpoint is", async () => {
    const text = await output(["inspect"]);
    expect(text).toMatch(/^folder +.*models\/storyteller$/m);
    expect(text).toMatch(/^parameters 2.36 M \(2361408\)$/m);
    expect(text).toMatch(/^dtypes {5}BF16 47 tensors, 4.5 MiB$/m);
    expect(text).toMatch(/^weights {4}bf16, 16.00 bits a weight, 4.5 MiB a token$/m);
    expect(text).toMatch(/^attention {2}6 query heads, 2 key\/value heads of 32$/m);
    expect(text).toMatch(/^memory {5}weights 4.5 MiB \+ f16 cache 640.0 KiB at 512 positions \(1.3 KiB each\)$/m);
    expect(await output(["inspect", "storyteller"])).toBe(text);
    expect(await output(["inspect", "-m", "storyteller"])).toBe(text);
    expect(await output(["-m", "storyteller", "inspect"])).toBe(text);
  });

  test("--tensors lists them, --json has it all", async () => {
    const [list, json] = await Promise.all([
      output(["inspect", "--tensors"]),
      output(["inspect", "--json", "-c", "100", "--kv-cache", "int8"]),
    ]);
    expect(list).toMatch(/^model.layers.4.mlp.down_proj.weight +BF16 +\[192, 512\] +model.safetensors$/m);
    const report = JSON.parse(json);
    expect(report.tensors).toHaveLength(47);
    expect(report.memory).toEqual({
      weightBytes: 4722816,
      weightBytesPerToken: 4722816,
      contextLength: 100,
      kvCache: "int8",
      cacheBytes: 72000,
      cacheBytesPerPosition: 720,
    });
  });

  test("prompt shows the ids that generate uses", async () => {
    expect(await output(["inspect", "prompt", "hi there"])).toBe(
      `<|begin_of_text|>hi there

  id  text
2046  "<|begin_of_text|>"
  71  "h"
  72  "i"
 400  " there"
4 tokens, raw
`,
    );
    expect(JSON.parse(await output(["inspect", "prompt", "--json"], "hi"))).toEqual({
      ...{ template: false, text: "<|begin_of_text|>hi", count: 3 },
      tokens: [
        { id: 2046, text: "<|begin_of_text|>" },
        { id: 71, text: "h" },
        { id: 72, text: "i" },
      ],
    });
  });
});

describe("doctor", () => {
  test("says what the machine offers, measured", async () => {
    const [text, json] = await Promise.all([
      output(["doctor"]),
      output(["doctor", "--json"]).then((line) => JSON.parse(line)),
    ]);
    expect(text).toMatch(/^version +quipu \d+\.\d+\.\d+, Node v\d+/);
    expect(text).toMatch(/^addon +built here: (?:g\+\+|clang) [\d.]+, glibc [\d.]+ \(.*quipu\.node\)$/m);
    expect(text).toMatch(/^kernels +scalar.*\(in use\)$/m);
    expect(text).toMatch(/^cache +[\d.]+ [KMG]iB, last level$|^cache +not told/m);
    expect(text).toMatch(/^int8 peak +[\d.]+ GOP\/s/m);
    expect(text).toMatch(/^bandwidth +[\d.]+ GB\/s/m);
    expect(text).toMatch(/^f32 peak +[\d.]+ GFLOP\/s/m);
    expect(text).toMatch(/^cuda +none/m);
    expect(json).toMatchObject({
      version: expect.any(String),
      targets: expect.arrayContaining(["scalar", json.target]),
      threads: expect.any(Number),
      addon: { origin: "built", compiler: expect.any(String), glibc: json.glibc },
    });
    expect(json.roofs.readBandwidth).toBeGreaterThan(1e8);
    expect(json.roofs.peak).toBeGreaterThan(1e8);
    expect(json.roofs.integerPeak).toBeGreaterThan(1e8);
  });
});

describe("benchmark", () => {
  const SHORT = ["--prompt-tokens", "16", "--gen-tokens", "4", "--repeats", "1", "-t", "1"];
  const TESTS = [
    "load",
    "tokenize",
    "pp16",
    "tg4",
    "sampling",
    "first token",
    "inter-token p50",
    "inter-token p95",
    "peak memory",
  ];

  test.concurrent("a table for people", async () => {
    const [roofs, weights, header, ...rows] = (await output(["--benchmark", ...SHORT])).trimEnd().split("\n");
    expect(roofs).toMatch(/: reads [\d.]+ GB\/s, [\d.]+ GFLOP\/s f32, [\d.]+ GOP\/s int8 \(measured in this run\)$/);
    expect(weights).toBe("storyteller: bf16, 16.00 bits a weight, 4.5 MiB a token");
    expect(header!.split(/ {2,}/)).toEqual([
      "model",
      "size",
      "params",
      "backend",
      "threads",
      "test",
      "t/s",
      "of the roof",
      "share",
    ]);
    if (rows.at(-1)!.startsWith("!")) rows.pop(); // what the mark behind a share means
    expect(rows).toHaveLength(TESTS.length);
    for (const [i, row] of rows.entries())
      expect(row).toMatch(new RegExp(`^storyteller +4.5 MiB +2.36 M +cpu [\\w-]+ +\\d+  ${TESTS[i]} `));
    expect(rows[2]).toMatch(/GFLOP\/s +\d+ %!?$/);
    expect(rows[3]).toMatch(/GB\/s$/); // no share of a model that fits a cache
  });

  test.concurrent("Markdown; where nothing is asked, what a context of 96 positions holds", async () => {
    const [, , , header, rule, ...lines] = (
      await output(["benchmark", "-c", "96", "--repeats", "1", "-t", "1", "--format", "md"])
    )
      .trimEnd()
      .split("\n");
    expect(header).toBe("| model | size | params | backend | threads | test | t/s | of the roof | share |");
    expect(rule).toMatch(/^\|( ---:? \|)+$/);
    const names = TESTS.map((name) => ({ pp16: "pp96", tg4: "tg95" })[name] ?? name);
    const rows = lines.filter((line) => line.startsWith("|"));
    expect(rows.map((row) => row.split(" | ")[5])).toEqual(names);
  });

  test.concurrent("CSV, at a depth", async () => {
    const [header, ...rows] = (await output(["benchmark", ...SHORT, "--format", "csv", "--depth", "8"]))
      .trimEnd()
      .split("\n");
    expect(header).toBe(
      "model,size,params,formats,bits a weight,bytes a token,backend,threads,test,value,sd,unit,roof value,roof unit,share,above",
    );
    expect(rows[0]).toMatch(/^storyteller,4722816,2361408,bf16,16,4722816,cpu /);
    expect(rows.map((row) => row.split(",")[8])).toEqual(TESTS.map((name) => name.replace(/^(pp16|tg4)$/, "$1@d8")));
  });

  test.concurrent("JSON", async () => {
    const { cpu, settings, rows } = JSON.parse(await output(["benchmark", ...SHORT, "--format", "json"]));
    expect(cpu).not.toBe("");
    expect(settings).toMatchObject({
      model: "storyteller",
      params: 2361408,
      formats: [{ format: "bf16", parameters: 2359296, bytes: 4718592 }],
      bitsPerWeight: 16,
      weightBytesPerToken: 4722816,
      promptTokens: 16,
      genTokens: 4,
      repeats: 1,
      depth: 0,
      kvCache: "f16",
    });
    expect(rows.map(({ test }: { test: string }) => test)).toEqual(TESTS);
    expect(rows[2]).toMatchObject({
      test: "pp16",
      "t/s": expect.any(Number),
      sd: 0,
      "GFLOP/s": expect.any(Number),
      share: expect.any(Number),
    });
    expect(rows[3]).toEqual({
      test: "tg4",
      "t/s": expect.any(Number),
      sd: 0,
      "GB/s": expect.any(Number), // no share of a model that fits a cache
    });
    expect(rows[2].share).toBeGreaterThan(0);
    expect(rows.at(-1).MiB).toBeLessThan(500); // the model's, not that of measuring the roofs
  });

  test.concurrent("a depth that leaves no room is a usage error", async () => {
    const { status, stderr } = await quipu(["benchmark", "-c", "96", "--depth", "96"]);
    expect({ status, stderr }).toMatchObject({
      status: 2,
      stderr: expect.stringMatching(/does not fit a context of 96/),
    });
  });
});
