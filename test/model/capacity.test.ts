// One program serves every number of rows: the same bits as programs that are made for exactly so many, and none that is made, nor
// memory that is taken, when a step has another number of rows than those before.
import { FUSIONS } from "#quipu/device/fusions.js";
import type { Row, Runtime, SampledRow } from "#quipu/model/runtime.js";
import { TARGETS } from "../kernels/run-op.js";
import { loadTiny } from "./reference.js";
import { begin, pagesOf, type RuntimeOptions, rows, someIds, withRuntime } from "./run-model.js";

const { folder, vocabSize } = loadTiny("gqa-f32");

/** Where engines change their order, and ours its kernels' forms. */
const LENGTHS = [1, 2, 3, 4, 5, 6, 7, 8, 9, 31, 32, 33, 63, 64, 65, 255, 256, 257, 512];
const SLOTS = 8;
const SETTINGS = {
  ...{ temperature: 0.8, topK: 40, topP: 0.95, minP: 0, seed: 5 },
  ...{ repeatPenalty: 1.1, presencePenalty: 0, frequencyPenalty: 0, logitBias: new Map([[3, 0.5]]) },
};

/** A step of `count` rows, of as many slots as there can be with so many, and the last row of each. */
function stepOf(count: number): { readonly step: Row[]; readonly last: number[] } {
  const slots = Math.min(count, SLOTS);
  const step = Array.from({ length: slots }, (_, slot) => {
    const length = Math.floor(((slot + 1) * count) / slots) - Math.floor((slot * count) / slots);
    return rows(someIds(length, vocabSize, slot + 1), slot);
  }).flat();
  const last = Array.from({ length: slots }, (_, slot) => step.findLastIndex((row) => row.slot === slot));
  return { step, last };
}

interface Said {
  readonly some: Float32Array;
  readonly all: Float32Array;
  readonly sampled: readonly SampledRow[];
  readonly next: readonly SampledRow[];
}

/** Logits of some rows and of all, what is sampled after one and after all slots' last, and the step after that. */
async function say(runtime: Runtime, count: number): Promise<Said> {
  const { step, last } = stepOf(count);
  for (const [slot] of last.entries()) {
    const prompt = Int32Array.from(step.flatMap((row) => (row.slot === slot ? [row.id!] : [])));
    await begin(runtime, slot, prompt, { ...SETTINGS, seed: slot });
  }
  const logitsOf = async (wanted: readonly number[]) => {
    const logits = new Float32Array(wanted.length * vocabSize);
    await runtime.logits(step, wanted, logits);
    return logits;
  };
  await runtime.fill(step.slice(0, Math.ceil(count / 2)));
  const [some, all] = [await logitsOf(last), await logitsOf([...step.keys()])];
  const sample = async (batch: readonly Row[], wanted: readonly number[]) =>
    (
      await runtime.sample(
        batch,
        wanted,
        wanted.map((_, i) => i % 3),
      )
    ).sampled;
  const sampled = await sample(step, last);
  const next = await sample(
    last.map((_, slot) => ({ slot })),
    [...last.keys()],
  );
  return { some, all, sampled: [...(await sample(step, last.slice(0, 1))), ...sampled], next };
}

const withSlots = <T>(options: RuntimeOptions, body: (runtime: Runtime) => Promise<T>) =>
  withRuntime(folder, { slots: SLOTS, contextLength: 512, kvCache: "f16", ...options }, body);

describe.each<[string, RuntimeOptions]>([
  ...TARGETS.map((target): [string, RuntimeOptions] => [`${target} kernels`, { target }]),
  ["ops as they are recorded", { fusions: [] }],
  ["the reference device", { device: "reference", fusions: FUSIONS }],
])("%s", (_, options) => {
  test("a program for 512 rows gives what programs for fewer give", async () => {
    // Large and small steps by turns: what one leaves must not reach the next.
    const turns = LENGTHS.map((_, i) => LENGTHS[i % 2 === 0 ? LENGTHS.length - 1 - i / 2 : (i - 1) / 2]!);
    const said = await withSlots({ ...options, stepRows: 512 }, async (runtime) => {
      const all = new Map<number, Said>();
      for (const count of turns) all.set(count, await say(runtime, count));
      return all;
    });
    expect([...said.keys()].sort((a, b) => a - b)).toEqual(LENGTHS);
    const differing: number[] = [];
    for (const [count, { some, all, sampled, next }] of said) {
      const exact = await withSlots({ ...options, stepRows: Math.max(count, 1) }, (runtime) => say(runtime, count));
      const same = [
        [some, exact.some],
        [all, exact.all],
      ].every(([a, b]) => Buffer.compare(Buffer.from(a!.buffer), Buffer.from(b!.buffer)) === 0);
      if (!same || JSON.stringify([sampled, next]) !== JSON.stringify([exact.sampled, exact.next]))
        differing.push(count);
    }
    expect(differing).toEqual([]);
  }, 120_000);
});

test("another number of rows makes no program and takes no memory", async () => {
  await withSlots({ stepRows: 519, kvCache: "f32" }, async (runtime) => {
    const { device } = runtime;
    let loads = 0;
    const { load } = device;
    device.load = (...args) => {
      loads += 1;
      return load.apply(device, args);
    };
    const { step, last } = stepOf(64);
    const kinds = [
      (count: number) => runtime.fill(step.slice(0, count)),
      (count: number) => runtime.logits(step, [...step.keys()].slice(0, count), new Float32Array(count * vocabSize)),
      (count: number) => runtime.sample(step.slice(0, count), [count - 1], [1]),
      (count: number) => runtime.sample(step.slice(0, count), [count - 1], [5]),
      (count: number) =>
        runtime.sample(
          step,
          last.slice(0, count % SLOTS),
          last.map(() => 1),
        ),
    ];
    for (const slot of last.keys()) await device.run(null, { writes: runtime.begin(slot, pagesOf(runtime, slot)) });
    for (const kind of kinds) await kind(64);
    const [made, memory] = [loads, device.memory()];
    expect(made).toBe(4); // fill, logits, sample with 1 and 20 alternatives
    for (let count = 1; count <= 64; count++) for (const kind of kinds) await kind(count);
    expect(loads).toBe(made);
    expect(device.memory()).toEqual(memory);
  });
});

test("more logits, or more alternatives, than programs are made for put a larger one in their place", async () => {
  await withSlots({ stepRows: 300 }, async (runtime) => {
    const { device } = runtime;
    const { step, last } = stepOf(300);
    for (const slot of last.keys()) await device.run(null, { writes: runtime.begin(slot, pagesOf(runtime, slot)) });
    const logitsOf = async (count: number) => {
      const logits = new Float32Array(count * vocabSize);
      await runtime.logits(step, [...step.keys()].slice(0, count), logits);
      return logits;
    };
    const few = await logitsOf(3);
    const memory = device.memory();
    const many = await logitsOf(300);
    expect(many.subarray(0, few.length)).toEqual(few);
    const grown = device.memory().state - memory.state;
    expect(grown).toBeLessThan(300 * (vocabSize + 1) * 4); // the small one's are given back
    const best = async (count: number) => {
      const { sampled } = await runtime.sample(
        step,
        last,
        last.map(() => count),
      );
      return sampled.map((row) => (row as { best: readonly unknown[] }).best);
    };
    for (const slot of last.keys()) await begin(runtime, slot, Int32Array.of(1), SETTINGS);
    const some = await best(21);
    const all = await best(vocabSize);
    expect(all[0]).toHaveLength(vocabSize);
    expect(some).toEqual(all.map((row) => row.slice(0, 21)));
    for (const count of [0, 1, 20, 50]) expect(await best(count)).toEqual(all.map((row) => row.slice(0, count)));
  });
});
