// The loop: what it tells, that an interrupted run goes on as the same bits, and what bad steps and full disks leave.
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { jest } from "@jest/globals";
import { readSafetensors } from "#quipu/checkpoint/safetensors.js";
import type { TokenFile } from "#quipu/data/token-file.js";
import { readState, restore } from "#quipu/train/checkpoint.js";
import type { TrainingEvent, TrainingStep } from "#quipu/train/events.js";
import { readLog } from "#quipu/train/log.js";
import { type RunParts, run } from "#quipu/train/run.js";
import type { TrainingSettings } from "#quipu/train/training-options.js";
import { temporaryFolder } from "../../checkpoint-writer.js";
import { FakeRuntime } from "./fake-runtime.js";
import { someDocuments, tokenFile } from "./token-files.js";

const dir = temporaryFolder();
let data: TokenFile;
let heldOut: TokenFile;
let folders = 0;
beforeAll(async () => {
  data = await tokenFile(join(dir, "a.tokens"), someDocuments(80, 30));
  heldOut = await tokenFile(join(dir, "a.held-out.tokens"), someDocuments(9, 30));
});
afterAll(() => Promise.all([data.close(), heldOut.close()]));

const SETTINGS: TrainingSettings = {
  ...{ length: { steps: 20 }, batch: 128, microBatch: 32, sequence: 16, ramp: 0.5 },
  schedule: { kind: "cosine", rate: 0.05, warmUp: 0.1, coolDown: 0.4 },
  ...{ weightDecay: 0.1, clip: 1, seed: 3, optimizer: "adamw", muonRate: 0.5, average: 0 },
};

interface Run {
  readonly runtime: FakeRuntime;
  readonly output: string;
  readonly events: readonly TrainingEvent[];
  readonly error: unknown;
}

/** Runs in a folder of its own, or goes on in one. */
async function training(
  changed: Partial<RunParts> = {},
  {
    output = join(dir, `run${folders++}`),
    resume = false,
    runtime = new FakeRuntime(50),
    each = (_: TrainingEvent): void | Promise<void> => {},
  } = {},
): Promise<Run> {
  mkdirSync(output, { recursive: true });
  await runtime.initialise(3);
  const last = resume
    ? join(
        output,
        readdirSync(output)
          .filter((name) => name.startsWith("step-"))
          .sort()
          .at(-1)!,
      )
    : undefined;
  const state = last === undefined ? undefined : await readState(last);
  if (last !== undefined) await restore(last, runtime);
  const events: TrainingEvent[] = [];
  const parts: RunParts = {
    ...{
      runtime,
      memory: { parameters: 2500, state: 4e4, arena: 0 },
      data,
      heldOut,
      settings: SETTINGS,
      recorded: { ...SETTINGS },
      output,
      maxDocuments: 32,
    },
    tokenizer: {
      specialTokens: new Map([
        ["<begin>", 0],
        ["<end>", 1],
      ]),
      decodeBytes: () => new Uint8Array(2), // without a space that begins a text
      decodeSingleTokenBytes: () => new Uint8Array(3),
    },
    files: { config: { model_type: "llama" }, generationConfig: {}, tokenizer: [] },
    ...{ evaluateEvery: 5, evaluateTokens: 1e9, saveEvery: 5, keep: 2, signal: undefined },
    sample: async (folder) => `by ${folder.slice(-8)}`,
    warn: () => {},
    ...changed,
  };
  let error: unknown;
  try {
    for await (const event of run(parts, state)) {
      events.push(event);
      await each(event);
    }
  } catch (caught) {
    error = caught;
  }
  return { runtime, output, events, error };
}

/** Of the only tensor. */
async function readWeights(folder: string): Promise<number[]> {
  const { tensors, path } = await readSafetensors(join(folder, "model.safetensors"));
  const { offset, bytes, dtype } = tensors.get("table.weight")!;
  const data = readFileSync(path).subarray(offset, offset + bytes);
  if (dtype === "F32") return Array.from({ length: bytes / 4 }, (_, i) => data.readFloatLE(4 * i));
  const wide = new DataView(new ArrayBuffer(4));
  return Array.from({ length: bytes / 2 }, (_, i) => {
    wide.setUint16(0, data.readUInt16LE(2 * i));
    return wide.getFloat32(0);
  });
}

const steps = ({ events }: Pick<Run, "events">) =>
  events.filter((event): event is TrainingStep => event.type === "step");
/** Without what clocks say. */
const timeless = (events: readonly TrainingEvent[]) =>
  events.map((event) => ({ ...event, seconds: 0, tokensPerSecond: 0, path: undefined, model: undefined }));
const bits = async (runtime: FakeRuntime) =>
  Promise.all(
    (["parameter", "momentum", "variance", "average"] as const).map(async (of) =>
      Buffer.from((await runtime.read("", of)).buffer).toString("hex"),
    ),
  );

test("learns, and tells of it in order; the folder has what it says", async () => {
  const { output, events, runtime } = await training();
  expect(events.map(({ type }) => type).filter((type) => type !== "step")).toEqual([
    "start",
    ...Array(4).fill(["evaluation", "checkpoint", "sample"]).flat(),
    "end",
  ]);
  const all = steps({ events });
  expect(all.map(({ step }) => step)).toEqual(Array.from({ length: 20 }, (_, i) => i + 1));
  expect(all.at(-1)!.loss).toBeLessThan(all[0]!.loss - 0.2);
  expect(all.at(-1)).toMatchObject({ progress: 1, rate: expect.closeTo(0.005, 9) });
  // The ramp: one micro-batch of 32 rows in the first eighth of the run, four in its second half.
  expect(all.map(({ tokens }, i) => tokens - (all[i - 1]?.tokens ?? 0))).toEqual([
    ...Array(3).fill(32),
    ...Array(2).fill(64),
    ...Array(3).fill(96),
    ...Array(2).fill(128),
    ...Array(10).fill(128),
  ]);
  expect(runtime.steps.map(({ weightDecay, clip }) => [weightDecay, clip])).toEqual(Array(20).fill([0.1, 1]));
  expect(readdirSync(output).sort()).toEqual(["log.jsonl", "model", "step-00000015", "step-00000020"]);
  expect(await readLog(join(output, "log.jsonl"))).toEqual(JSON.parse(JSON.stringify(events.slice(1, -1))));
  const samples = events.flatMap((event) => (event.type === "sample" ? [event.text] : []));
  expect(samples).toEqual(["by 00000005", "by 00000010", "by 00000015", "by 00000020"]);
});

test("what is measured is the mean over tokens, and by the bytes of their text", async () => {
  const { events, runtime } = await training();
  const evaluation = events.findLast((event) => event.type === "evaluation")!;
  let [loss, weight, bytes] = [0, 0, 0];
  for (const ids of someDocuments(9, 30)) {
    const targets = Int32Array.from(ids.slice(1));
    const result = await runtime.evaluate({ ids: Int32Array.from(ids.slice(0, -1)), targets } as never);
    loss += result.loss;
    weight += result.weight;
    bytes += Math.max(0, 3 * (ids.length - 2) - 1);
  }
  expect(evaluation.loss).toBeCloseTo(loss / weight, 10);
  expect(evaluation.bitsPerByte).toBeCloseTo(loss / Math.LN2 / bytes, 10);
});

test.each([
  ["steps", { steps: 20 }],
  ["tokens", { tokens: 2000 }],
])("20 = 10 + a process that ends + 10, bit by bit: %s", async (_, length) => {
  const settings = { ...SETTINGS, length };
  const whole = await training({ settings, recorded: { ...settings } });
  const output = join(dir, `killed${folders++}`);
  // Ends without a word between two checkpoints, and leaves a line of the log in part.
  const killed = await training(
    { settings, recorded: { ...settings } },
    {
      output,
      each: (event) => {
        if (event.type === "step" && event.step === 12) throw new Error("killed");
      },
    },
  );
  expect((killed.error as Error).message).toBe("killed");
  writeFileSync(join(output, "log.jsonl"), `${readFileSync(join(output, "log.jsonl"), "utf8")}{"type": "st`);
  const second = await training({ settings, recorded: { ...settings } }, { output, resume: true });
  expect(second.events[0]).toMatchObject({ type: "start", step: 10 });
  expect(await bits(second.runtime)).toEqual(await bits(whole.runtime));
  const behind = whole.events.filter((event) => "step" in event && event.step > 10 && event.type !== "start");
  expect(timeless(second.events.slice(1, -1))).toEqual(timeless(behind));
  const [log, expected] = await Promise.all([output, whole.output].map((folder) => readLog(join(folder, "log.jsonl"))));
  expect(timeless(log!)).toEqual(timeless(expected!));
  const weights = [output, whole.output].map((folder) => readFileSync(join(folder, "model", "model.safetensors")));
  expect(weights[0]!.equals(weights[1]!)).toBe(true);
});

test("weights are averaged over the end of a run, later ones weighing more; the model has their mean, checkpoints have not", async () => {
  const settings = { ...SETTINGS, ramp: 0, average: 0.25 };
  const seen: Float32Array[] = [];
  const runtime = new FakeRuntime(50);
  const each = async (event: TrainingEvent) => {
    if (event.type === "step") seen.push(await runtime.read("", "parameter"));
  };
  const whole = await training({ settings, recorded: { ...settings } }, { runtime, each });
  // Of the last five of twenty steps: a quarter of that end is 1.25 steps.
  const weights = [4, 3, 2, 1, 0].map((ago) => (1 + 1 / 1.25) ** -ago);
  const total = weights.reduce((a, b) => a + b);
  const mean = (i: number) => weights.reduce((sum, weight, k) => sum + (weight / total) * seen[15 + k]![i]!, 0);
  const model = await readWeights(join(whole.output, "model"));
  const last = await readWeights(join(whole.output, "step-00000020"));
  for (let i = 0; i < 2500; i++) {
    expect(Math.abs(model[i]! - mean(i))).toBeLessThan(2 ** -7 * Math.abs(mean(i)) + 1e-6); // bf16
    expect(last[i]).toBe(seen[19]![i]);
  }
  expect(whole.events.slice(-3)).toMatchObject([
    { type: "sample", step: 20 },
    { type: "evaluation", step: 20, averaged: true },
    { type: "end" },
  ]);
  // Interrupted within that end.
  const output = join(dir, `run${folders++}`);
  const controller = new AbortController();
  const interrupt = (event: TrainingEvent) => {
    if (event.type === "step" && event.step === 18) controller.abort();
  };
  await training({ settings, recorded: { ...settings }, signal: controller.signal }, { output, each: interrupt });
  const second = await training({ settings, recorded: { ...settings } }, { output, resume: true });
  expect(await bits(second.runtime)).toEqual(await bits(runtime));
});

test("the mean fades by how long steps take, where a run is measured in seconds", async () => {
  const settings = { ...SETTINGS, ramp: 0, length: { seconds: 1000 }, average: 0.5 };
  let now = 0;
  const clock = jest.spyOn(performance, "now").mockImplementation(() => 1000 * now);
  const runtime = new FakeRuntime(50);
  const step = runtime.step.bind(runtime);
  jest.spyOn(runtime, "step").mockImplementation(async (of) => {
    now += 50; // a twentieth of the run
    return step(of);
  });
  const shares = jest.spyOn(runtime, "average");
  const { error } = await training({ settings, recorded: { ...settings } }, { runtime });
  clock.mockRestore();
  expect(error).toBeUndefined();
  // Ten steps end in the second half, each two fifths of a quarter of it.
  let weight = 0;
  const expected = Array.from({ length: 10 }, () => {
    weight = 1 + weight / 1.4;
    return expect.closeTo(1 / weight, 9);
  });
  expect(shares.mock.calls.flat()).toEqual(expected);
});

test("both optimizers' rates rise and fall together", async () => {
  const { runtime } = await training();
  expect(runtime.steps.map(({ rate, muonRate }) => muonRate! / rate)).toEqual(Array(20).fill(expect.closeTo(10, 9)));
});

test("a signal has the step ended and saved, and the run goes on from there", async () => {
  const whole = await training();
  const controller = new AbortController();
  const { output, error, events } = await training(
    { signal: controller.signal },
    {
      each: (event) => {
        if (event.type === "step" && event.step === 7) controller.abort();
      },
    },
  );
  expect(error).toMatchObject({ code: "ERR_ABORTED" });
  expect(events.slice(-2)).toMatchObject([
    { type: "step", step: 7 },
    { type: "checkpoint", step: 7 },
  ]);
  const second = await training({}, { output, resume: true });
  expect(await bits(second.runtime)).toEqual(await bits(whole.runtime));
});

test("a sample that fails is told, and the run goes on", async () => {
  const warn = jest.fn();
  const sample = async (folder: string) => {
    if (folder.endsWith("10")) throw new Error("no memory");
    return "text";
  };
  const { events, error } = await training({ sample, warn });
  expect(error).toBeUndefined();
  expect(events.flatMap((event) => (event.type === "sample" ? [event.step] : []))).toEqual([5, 15, 20]);
  expect(warn.mock.calls).toEqual([["WARN_SAMPLE_FAILED", "step 10: no sample: no memory"]]);
});

test("a signal while a sample is taken ends the run at the checkpoint", async () => {
  const controller = new AbortController();
  const warn = jest.fn();
  const sample = async () => {
    controller.abort();
    throw new Error("aborted");
  };
  const { events, error } = await training({ sample, warn, signal: controller.signal });
  expect(error).toMatchObject({ code: "ERR_ABORTED" });
  expect(events.at(-1)).toMatchObject({ type: "checkpoint", step: 5 });
  expect(warn).not.toHaveBeenCalled();
});

test("a model that comes while the run goes on stays", async () => {
  const output = join(dir, `run${folders++}`);
  const { error, events } = await training(
    {},
    {
      output,
      each: (event) => {
        if (event.type !== "step" || event.step !== 7) return;
        mkdirSync(join(output, "model"));
        writeFileSync(join(output, "model", "notes"), "of somebody");
      },
    },
  );
  expect(error).toMatchObject({ code: "ERR_WRITE" });
  expect(events.at(-1)).toMatchObject({ type: "sample", step: 20 });
  expect(readdirSync(join(output, "model"))).toEqual(["notes"]);
});

test("a run that was over is over", async () => {
  const whole = await training();
  rmSync(join(whole.output, "model"), { recursive: true });
  const again = await training({}, { output: whole.output, resume: true });
  expect(again.events.map(({ type }) => type)).toEqual(["start", "end"]);
  expect(readdirSync(whole.output)).toContain("model");
});

test("spikes are left out and told, and too many of them end the run with its checkpoints as they were", async () => {
  const long = { ...SETTINGS, length: { steps: 40 } };
  const runtime = new FakeRuntime(50);
  runtime.spikes.set(25, 1e4).set(26, Number.NaN);
  for (let step = 33; step < 40; step++) runtime.spikes.set(step, 1e4);
  const { error, events, output } = await training({ settings: long }, { runtime });
  expect(
    steps({ events })
      .filter(({ skipped }) => skipped)
      .map(({ step }) => step),
  ).toEqual([25, 26, 33, 34, 35, 36, 37]);
  // The optimizer's moments are corrected by how often they were written.
  expect(runtime.steps.slice(23, 28).map(({ step }) => step)).toEqual([24, 25, 25, 25, 26]);
  expect(error).toMatchObject({ code: "ERR_NOT_A_NUMBER", message: expect.stringMatching(/^step 37: 5 steps/) });
  expect(readdirSync(output).filter((name) => name.startsWith("step-"))).toEqual(["step-00000030", "step-00000035"]);
});

test("without held-out documents nothing is measured; without a first id there is no sample", async () => {
  const { events } = await training({ heldOut: undefined, sample: undefined, keep: 1, saveEvery: 20 });
  expect(events.map(({ type }) => type).filter((type) => type !== "step")).toEqual(["start", "checkpoint", "end"]);
});

test("a length in seconds ends with the step in which they are over", async () => {
  const settings = { ...SETTINGS, length: { seconds: 1e-9 } };
  const { events } = await training({ settings, recorded: { ...settings } });
  expect(events.map(({ type }) => type)).toEqual(["start", "step", "evaluation", "checkpoint", "sample", "end"]);
  expect(steps({ events })[0]).toMatchObject({ step: 1, progress: 1 });
});
