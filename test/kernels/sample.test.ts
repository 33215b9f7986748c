import fc from "fast-check";
import type { RowFailure } from "#quipu/device/device.js";
import { fround, gamma, uniform } from "./canonical.js";
import { randomNumbers } from "./contents.js";
import { expectFailureEverywhere, runEverywhere, runOnEveryDevice, setups } from "./run-op.js";
import {
  blockSums,
  greatestOf,
  PLAIN,
  pick,
  processed,
  ranked,
  type Settings,
  sum,
  weightsOf,
} from "./sample-reference.js";
import { recordSample, row, type SampledRow, type SampleRow, sampled, sampleInputs } from "./sample-rows.js";

const { abs, log, min, sqrt } = Math;
const inf = Number.POSITIVE_INFINITY;
const exhaustive = Boolean(process.env.QUIPU_EXHAUSTIVE);

/** Logits of a shape that is hard in some way. */
function logitsOf(kind: string, vocabulary: number, scale: number, seed: number): Float32Array {
  const next = randomNumbers(seed);
  const normal = () => sqrt(-2 * log((1 - next()) / 2)) * Math.cos(Math.PI * next());
  const drawn = Float32Array.from({ length: vocabulary }, () => normal() * scale);
  switch (kind) {
    case "ties":
      return drawn.map((x) => Math.round((2 * x) / scale) * scale);
    case "flat":
      return drawn.fill(scale);
    case "peaked":
      drawn[Math.floor(((next() + 1) / 2) * vocabulary)] = 12 * scale;
      return drawn;
    case "forbidden":
      return drawn.map((x, id) => (id % 3 === seed % 3 && id !== 0 ? -inf : x));
    case "zeros":
      return drawn.map((x) => (x > 0 ? -0 : 0));
    default:
      return drawn;
  }
}

/** log Σ of the model's own logits, and an id's logprob in f64. */
function logprobOf(logits: Float32Array) {
  const greatest = greatestOf(logits);
  const logSum = log(sum(blockSums(weightsOf(logits, 1))));
  return (id: number) => logits[id]! - greatest - logSum;
}

/** The kernel's own log differs from Math.log in the last bits of f64, which an f32 shows only beside a tie. */
function expectLogprob(actual: number, exact: number) {
  const slack = (1 + abs(exact)) * 2 ** -46;
  const near = [exact - slack, exact, exact + slack].map((x) => fround(x) + 0);
  if (!near.includes(actual + 0)) throw new Error(`expected logprob ${fround(exact)}, got ${actual}`);
}

function expectRow(got: SampledRow, { logits, settings, history, position }: SampleRow) {
  if (settings === null) throw new Error("a padding row has no reference");
  const id = pick(processed(logits, settings, history.slice(0, position + 1)), settings, position);
  if (got.id !== id) throw new Error(`expected id ${id}, got ${got.id} with ${JSON.stringify(settings)}`);
  const logprob = logprobOf(logits);
  expectLogprob(got.logprob, logprob(id));
  expect(got.bestIds).toEqual(ranked(logits).slice(0, got.bestIds.length));
  got.bestIds.forEach((best, i) => {
    expectLogprob(got.bestLogprobs[i]!, logprob(best));
  });
}

const VOCABULARIES = [1, 2, 15, 16, 17, 33, 511, 512, 513, 1003, 1025, 2100];

const settingsOf = (vocabulary: number) =>
  fc.record<Settings>({
    temperature: fc.constantFrom(0, 1e-30, 0.01, 0.7, 1, 1.5, 10, -1, Number.NaN),
    topP: fc.constantFrom(0, 0.1, 0.5, 0.9, 0.99, 0.999999, 1 - 2 ** -24, 1, 2),
    minP: fc.constantFrom(0, 0, 1e-9, 0.02, 0.3, 1),
    repeatPenalty: fc.constantFrom(1, 1, 1.1, 2, 0.5),
    presencePenalty: fc.constantFrom(0, 0, 0.3, -1.5),
    frequencyPenalty: fc.constantFrom(0, 0, 0.2, -0.7),
    topK: fc.constantFrom(0, 0, 1, 2, 5, 40, 1023, 1024, 1025, vocabulary - 1, vocabulary, vocabulary + 1),
    promptLength: fc.integer({ min: 0, max: 12 }),
    seedLow: fc.integer(),
    seedHigh: fc.integer(),
    biases: fc.array(
      fc.tuple(fc.integer({ min: 0, max: vocabulary - 1 }), fc.constantFrom(0.5, -2, 100, inf, -inf, -inf)),
      { maxLength: 3 },
    ),
  });

/** Rows by what they are made of, which is also what a failure prints. */
const recipesOf = (vocabulary: number) =>
  fc.array(
    fc.record({
      kind: fc.constantFrom("normal", "peaked", "ties", "flat", "forbidden", "zeros"),
      scale: fc.constantFrom(0.01, 1, 4, 30),
      seed: fc.nat(),
      settings: settingsOf(vocabulary),
      history: fc.array(fc.integer({ min: -1, max: min(vocabulary - 1, 20) }), { maxLength: 12 }),
      position: fc.nat(12),
    }),
    { minLength: 12, maxLength: 12 },
  );

test.each(VOCABULARIES)("vocabulary of %i: any settings, any logits, without shortcuts", async (vocabulary) => {
  const best = min(vocabulary, vocabulary % 2 === 0 ? 5 : 1);
  await fc.assert(
    fc.asyncProperty(recipesOf(vocabulary), async (recipes) => {
      const rows = recipes.map(({ kind, scale, seed, settings, ...request }): SampleRow => {
        const logits = logitsOf(kind, vocabulary, scale, seed);
        const nothingLeft = greatestOf(processed(logits, settings, [])) === -inf; // a test of its own
        return { logits, settings: nothingLeft ? { ...settings, biases: [] } : settings, ...request };
      });
      const got = await sampled(rows, best);
      rows.forEach((each, r) => {
        expectRow(got[r]!, each);
      });
    }),
    { numRuns: exhaustive ? 60 : 8, seed: vocabulary, endOnFailure: true },
  );
});

test("more biases than a GPU takes at once, the same ids among them again and again", async () => {
  const [vocabulary, count] = [1500, 2600];
  const biases = Array.from({ length: count }, (_, i) => [(i * 7) % vocabulary, ((i % 33) - 16) / 8] as const);
  const settings = [{ temperature: 0 }, { temperature: 0.7, topP: 0.9 }, { temperature: 1, repeatPenalty: 1.3 }];
  const rows = settings.map((of, seed) => row(logitsOf("normal", vocabulary, 2, seed), { ...of, biases }, 3));
  const got = await sampled(rows, 3);
  rows.forEach((each, r) => {
    expectRow(got[r]!, each);
  });
});

test("a real vocabulary, filters one by one and together", async () => {
  const vocabulary = 50_257;
  const filters: Partial<Settings>[] = [
    {},
    { topP: 0.95 },
    { topP: 0.999999 },
    { minP: 0.05 },
    { topK: 40 },
    { topK: 1024 },
    { topK: 1025 },
    { topK: 40, topP: 0.9, minP: 0.02, temperature: 0.8 },
    { temperature: 0 },
  ];
  const rows = filters.map((filter, i) => row(logitsOf("normal", vocabulary, 3, i), filter, i));
  const got = await sampled(rows, 3);
  rows.forEach((each, r) => {
    expectRow(got[r]!, each);
  });
});

/** Logits whose ranking is hard to cut: by many equal leading bits, by ties, by order. */
const HARD: Record<string, (id: number, next: () => number) => number> = {
  ascending: (id) => id / 500,
  descending: (id) => -id / 500,
  "all equal": () => -2.5,
  "all zeros of both signs": (id) => (id % 2 === 0 ? 0 : -0),
  "around zero, by powers of two": (_, next) => next() * 2 ** (70 * (next() - 1)),
  "the smallest numbers of all": (_, next) => Math.round(5 * next()) * 2 ** -149,
  "nested ranges": (id, next) => [1, -1, 2 ** -40, -(2 ** -40), 2 ** -60][id] ?? 2 ** -80 * (1 + 2 ** -9 * next()),
  "neighbours in f32": (id) => 1 + ((id * 7919) % 61) * 2 ** -23,
  "one far above": (id) => (id === 1234 ? 60 : 0),
  "the likely in one block": (id, next) => (id >= 512 && id < 1024 ? 5 : 0) + next(),
  "mostly forbidden": (id, next) => (id % 97 === 5 ? next() : -inf),
};

test.each(Object.keys(HARD))("a hard ranking: %s", async (kind) => {
  const next = randomNumbers(17);
  const logits = Array.from({ length: 2500 }, (_, id) => HARD[kind]!(id, next));
  const filters: Partial<Settings>[] = [1, 2, 3, 5, 6, 1200, 2499].flatMap((topK) => [{ topK }, { topK, topP: 0.7 }]);
  for (const topP of [1e-40, 0.05, 0.5, 0.9, 0.999, 1 - 2 ** -24]) filters.push({ topP }, { topP, minP: 0.5 });
  const rows = filters.flatMap((filter, i) =>
    [1, 0.05, 1e30].map((temperature) => row(logits, { ...filter, temperature, seedLow: i }, i)),
  );
  const got = await sampled(rows, 12);
  rows.forEach((each, r) => {
    expectRow(got[r]!, each);
  });
});

test("a top-p short of 1 by less than f32 sums are off is exact", async () => {
  // 100 likely ids, then 2000 that share 2 · 10⁻⁸ of the mass, less than p leaves out. The number of this seed at position 0,
  // 1 − 9 · 10⁻¹⁰, falls among them where they are kept.
  const settings = { topP: 1 - 2 ** -24, seedLow: 67_750_675 };
  expect(1 - uniform([settings.seedLow, 0], 0)).toBeLessThan(1e-9);
  const rows = Array.from({ length: 20 }, (_, i) => {
    const next = randomNumbers(i);
    return Array.from({ length: 2100 }, (_, id) => (id < 100 ? next() : -20.5));
  }).flatMap((logits) => [row(logits, settings), row(logits, { ...settings, topP: 1 })]);
  const got = await sampled(rows);
  rows.forEach((each, r) => {
    expectRow(got[r]!, each);
    expect(got[r]!.id < 100).toBe(each.settings!.topP < 1);
  });
});

test("many small weights beside a great one keep their share", async () => {
  // Each has 2⁻³⁰ of the great one's: added one by one in f32 they would vanish beside it.
  const logits = Array.from({ length: 2100 }, (_, id) => (id === 0 ? 0 : -30 * Math.LN2));
  const settings = { ...PLAIN, seedLow: 67_750_675 };
  const weights = weightsOf(Float32Array.from(logits), 1);
  const share = sum(weights.subarray(1)) / sum(weights);
  expect(share).toBeGreaterThan(1e-6);
  expect((await sampled([row(logits, settings)]))[0]!.id).toBeGreaterThan(0);
});

test("top-p is of what a large top-k leaves, whatever min-p takes away", async () => {
  // Half of the mass of the 1100 best takes 200 ids; min-p leaves three, and each of them is drawn.
  const logits = Array.from({ length: 3000 }, (_, id) => [0, -0.1, -0.2][id] ?? -1);
  const rows = Array.from({ length: 60 }, (_, i) => row(logits, { topK: 1100, topP: 0.5, minP: 0.5 }, i));
  expect(new Set((await sampled(rows)).map(({ id }) => id))).toEqual(new Set([0, 1, 2]));
});

test("logprobs are within the derived bound of f64", async () => {
  const rows = [0.1, 1, 5, 30].map((scale, i) => row(logitsOf("normal", 1003, scale, i)));
  const got = await sampled(rows, 20);
  rows.forEach(({ logits }, r) => {
    const greatest = greatestOf(logits);
    const weights = Array.from(logits, (x) => Math.exp(x - greatest));
    const total = sum(weights);
    // Each weight's exponent is rounded once, its exp is off by 1 ulp (two roundings); a block's lanes take 32 + 4 additions.
    const u = 2 ** -24;
    const ofWeights = sum(Array.from(logits, (x, i) => weights[i]! * (greatest - x + 2) * u)) / total;
    const bound = ofWeights + gamma(36);
    got[r]!.bestIds.forEach((id, i) => {
      const exact = logits[id]! - greatest - log(total);
      expect(abs(got[r]!.bestLogprobs[i]! - exact)).toBeLessThanOrEqual(bound * 1.001 + u * abs(exact));
    });
  });
});

describe("greedy and decided rows", () => {
  const logits = [1, 5, -0, 5, 0, 2];

  test.each<[string, number[], Partial<Settings>, number]>([
    ["temperature 0: the greatest, ties the smallest id", logits, { temperature: 0 }, 1],
    ["zeros tie whatever their sign", [-1, -0, 0, -2], { temperature: 0 }, 1],
    ["top-k of 1, whatever is drawn", logits, { topK: 1 }, 1],
    ["top-p of 0 keeps one", logits, { topP: 0 }, 1],
    ["a bias decides", logits, { temperature: 0, biases: [[4, 5.5]] }, 4],
    ["a bias of +∞ decides at any temperature", logits, { temperature: 2, biases: [[0, inf]] }, 0],
    [
      "two of +∞: the smaller id",
      logits,
      {
        biases: [
          [5, inf],
          [2, inf],
        ],
      },
      2,
    ],
    [
      "a bias of −∞ forbids",
      logits,
      {
        temperature: 0,
        biases: [
          [1, -inf],
          [3, -inf],
        ],
      },
      5,
    ],
    ["forbidden stays forbidden", [-inf, 1, 0], { temperature: 0, biases: [[0, inf]] }, 1],
    ["forbidden ids are never drawn", [-inf, -inf, 0, -inf], { temperature: 100 }, 2],
    ["a tiny temperature is greedy without overflow", [1, 5, 0, 4.9999], { temperature: 1e-45, topK: 3 }, 1],
  ])("%s", async (_, values, settings, expected) => {
    for (const { id } of await sampled([row(values, settings, 0), row(values, settings, 9)])) expect(id).toBe(expected);
  });
});

describe("penalties", () => {
  // Positions:          0  1  2  3  4  5  6
  const history = [2, 0, 2, 1, 2, 1, 3];
  const logits = Float32Array.of(4, 4, 4, 4, -1, 3.9);
  const settings = { ...PLAIN, temperature: 0, promptLength: 2 };
  const greedy = async (changes: Partial<Settings>, position = 5) =>
    (await sampled([{ logits, settings: { ...settings, ...changes }, history, position }]))[0]!.id;

  test("repeat: over prompt and completion; what comes after the row is not history", async () => {
    expect(await greedy({ repeatPenalty: 2 })).toBe(3);
    expect(await greedy({ repeatPenalty: 2 }, 6)).toBe(5);
  });

  test("repeat: a negative logit is multiplied", async () => {
    const row = {
      logits: Float32Array.of(-1, -1.5),
      settings: { ...settings, repeatPenalty: 2 },
      history: [0],
      position: 0,
    };
    expect((await sampled([row]))[0]!.id).toBe(1);
  });

  test("presence and frequency: over the completion alone, by count", async () => {
    expect(await greedy({ presencePenalty: 0.05 })).toBe(0); // id 0 is in the prompt
    expect(await greedy({ presencePenalty: 0.05, promptLength: 0 })).toBe(3);
    expect(await greedy({ frequencyPenalty: -1 })).toBe(1); // ids 1 and 2 twice after the prompt: the smaller
    expect(await greedy({ frequencyPenalty: -1, promptLength: 0 })).toBe(2); // id 2 three times
  });

  test("logprob and the best are of the model's own logits", async () => {
    const changes = { repeatPenalty: 2, biases: [[4, 100]] as const };
    const [got] = await sampled([{ logits, settings: { ...settings, ...changes }, history, position: 5 }], 2);
    expect(got!.id).toBe(4);
    expect(got!.bestIds).toEqual([0, 1]);
    expectLogprob(got!.logprob, logprobOf(logits)(4));
  });
});

describe("the uniform number", () => {
  test("is Philox's: its first known answer picks the id", async () => {
    // 2¹⁶ equal logits: the id is the first 16 bits. Random123: key 0, counter 0 → 6627e8d5 …
    const [got] = await sampled([row(new Array<number>(2 ** 16).fill(1.5), { seedLow: 0 })], 1);
    expect(got!.id).toBe(0x6627);
  });

  test("depends on seed and position alone", async () => {
    const flat = new Array<number>(4096).fill(0);
    const requests = [1, 2, -1, 2 ** 31 - 1].flatMap((seedLow) =>
      [0, 1, -1].flatMap((seedHigh) => [0, 1, 1000].map((position) => ({ seedLow, seedHigh, position }))),
    );
    const rows = requests.map(({ position, ...seed }) => row(flat, seed, position));
    const got = await sampled(rows);
    requests.forEach(({ seedLow, seedHigh, position }, r) => {
      expect(got[r]!.id).toBe(Math.floor(uniform([seedLow, seedHigh], position) * 4096));
    });
  });
});

test("a row is the same alone and among others; padding is −1", async () => {
  const rows = [0, 1, 2, 3, 4].map((i) => row(logitsOf("normal", 300, 2, i), { topP: 0.9, seedLow: i }, 3 * i));
  const padding = { ...row(new Array<number>(300).fill(Number.NaN), null), position: 3 };
  const negative = { ...rows[0]!, position: -1 };
  const got = await sampled([...rows.slice(0, 2), padding, ...rows.slice(2), negative], 2);
  const nobody = { id: -1, logprob: 0, bestIds: [-1, -1], bestLogprobs: [0, 0] };
  expect(got[2]).toEqual(nobody);
  expect(got[6]).toEqual(nobody);
  const alone = await Promise.all(rows.map(async (each) => (await sampled([each], 2))[0]));
  expect([...got.slice(0, 2), ...got.slice(3, 6)]).toEqual(alone);
});

test("every device picks these ids, with logprobs within the bound", async () => {
  const u = 2 ** -24;
  const settings: Partial<Settings>[] = [
    { temperature: 0 },
    { temperature: 0, repeatPenalty: 1.3, biases: [[7, 2]] },
    { temperature: 0.7 },
    { topK: 40 },
    { topP: 0.9 },
    { minP: 0.05, temperature: 1.5 },
    { topK: 100, topP: 0.8, minP: 0.01, presencePenalty: 0.4, frequencyPenalty: 0.1 },
  ];
  const rows = settings.map((each, i): SampleRow => {
    const logits = logitsOf("normal", 1003, 3, i);
    return { logits, settings: { ...PLAIN, ...each, seedLow: i }, history: [3, 7, 7, 900], position: 3 };
  });
  const best = 5;
  for (const { device, outputs } of await runOnEveryDevice(sampleInputs(rows), recordSample(best))) {
    const [ids, logprobs, bestIds, bestLogprobs] = outputs as [Int32Array, Float32Array, Int32Array, Float32Array];
    rows.forEach(({ logits, settings, history }, r) => {
      expect(ids[r]).toBe(pick(processed(logits, settings!, history), settings!, 3));
      expect([...bestIds.subarray(r * best, (r + 1) * best)]).toEqual(ranked(logits).slice(0, best));
      const [greatest, least] = [greatestOf(logits), Math.min(...logits)];
      const logSum = log(logits.reduce((total, x) => total + Math.exp(x - greatest), 0));
      // Each weight: its argument rounded (u of up to greatest − least), exp within 1 ulp. Their sum: 32 additions in a lane,
      // 4 halvings, and the blocks in f64. Then the logprob is rounded.
      const error = gamma(2 + 32 + 4) + (greatest - least) * u;
      const expectNear = (got: number, id: number) => {
        const exact = logits[id]! - greatest - logSum;
        const off = abs(got - exact);
        if (!(off <= error + abs(exact) * u)) throw new Error(`${device}, row ${r}: expected ${exact}, got ${got}`);
      };
      expectNear(logprobs[r]!, ids[r]!);
      for (let i = r * best; i < (r + 1) * best; i++) expectNear(bestLogprobs[i]!, bestIds[i]!);
    });
  }
});

test("a wanted row of −1 is padding", async () => {
  const inputs = sampleInputs([row([1, 2, 3], { temperature: 0 }), row([3, 2, 1], { temperature: 0 })]);
  inputs.outputRows.data[0] = -1;
  const { outputs } = await runEverywhere(inputs, recordSample(1));
  expect([...outputs[0]!]).toEqual([-1, 0]);
});

test.each([
  ["a NaN", 400, Number.NaN],
  ["a NaN in the last lanes", 402, Number.NaN],
  ["an infinite logit", 3, inf],
])("%s ends the run with ERR_NOT_A_NUMBER and the row", async (_, at, value) => {
  const rows = [0, 1, 2].map((i) => row(logitsOf("normal", 403, 1, i)));
  rows[1]!.logits[at] = value;
  const message = expect.stringContaining("sample, row 1");
  await expectFailureEverywhere(sampleInputs(rows), recordSample(1), { code: "ERR_NOT_A_NUMBER", message });
});

test.each([...setups(), { device: "reference" } as const])(
  "%j: told apart by row, rows that fail are named, have id −1 and leave the others alone",
  async (setup) => {
    const rows = [0, 1, 2, 3, 4].map((i) => row(logitsOf("normal", 403, 1, i), { seedLow: i }));
    const alone = await sampled(rows, 2, setup);
    rows[1]!.logits[7] = Number.NaN;
    rows[4]!.logits.fill(-inf);
    const failures: RowFailure[] = [];
    const got = await sampled(rows, 2, { ...setup, byRow: failures });
    const nothing = { id: -1, logprob: 0, bestIds: [-1, -1], bestLogprobs: [0, 0] };
    expect(got).toEqual([alone[0], nothing, alone[2], alone[3], nothing]);
    expect(failures.map(({ row, error }) => [row, error.code])).toEqual([
      [1, "ERR_NOT_A_NUMBER"],
      [4, "ERR_NOT_A_NUMBER"],
    ]);
    expect(failures.map(({ error }) => error.message)).toEqual([
      expect.stringMatching(/^a logit is not a number \(sample, row 1\)/),
      expect.stringMatching(/^a logit is not a number \(sample, row 4\)/),
    ]);
  },
);

test("a row is named whatever its number", async () => {
  const rows = Array.from({ length: 4501 }, () => row([1, 2]));
  rows[4500] = row([1, Number.NaN]);
  for (const setup of [{ target: "scalar", threads: 2 }, { device: "reference" }] as const) {
    await expect(sampled(rows, 1, setup)).rejects.toMatchObject({
      message: expect.stringMatching(/\(sample, row 4500\)/),
    });
  }
});

test("logits of nothing but −∞ end the run, too", async () => {
  const rows = [row(new Array<number>(20).fill(-inf))];
  await expectFailureEverywhere(sampleInputs(rows), recordSample(1), { code: "ERR_NOT_A_NUMBER" });
});

test.each([0, 0.8])("biases that forbid every id end the run by name, at temperature %d", async (temperature) => {
  const logits = [3, -inf, 4, 1e30];
  const forbidden = row(logits, { temperature, biases: [0, 2, 3].map((id) => [id, -inf] as const) });
  const rows = [row(logits, { temperature }), forbidden, row(logits, { temperature })];
  const message = "the biases forbid every id (sample, row 1): allow at least one";
  await expectFailureEverywhere(sampleInputs(rows), recordSample(1), { code: "ERR_ALL_FORBIDDEN", message });
  rows[1] = row(logits, { temperature, biases: [0, 3].map((id) => [id, -inf] as const) });
  expect((await sampled(rows))[1]!.id).toBe(2);
});

test("settings that are nonsense stay inside memory and give an id", async () => {
  const any = fc.oneof(
    fc.constantFrom(Number.NaN, inf, -inf, -0, -1, 1e-45, 3e38, 2, 1.0000001),
    fc.float({ noDefaultInfinity: true }),
  );
  const rows = fc.array(
    fc.record({
      temperature: any,
      topP: any,
      minP: any,
      repeatPenalty: any,
      presencePenalty: any,
      frequencyPenalty: any,
      topK: fc.integer(),
      promptLength: fc.integer(),
    }),
    { minLength: 8, maxLength: 8 },
  );
  await fc.assert(
    fc.asyncProperty(rows, fc.constantFrom("normal", "flat", "forbidden"), async (settings, kind) => {
      const history = [0, 5, 5, 36];
      const logits = logitsOf(kind, 37, 3, 1);
      const rows = settings.map((each) => ({ logits, settings: { ...PLAIN, ...each }, history, position: 3 }));
      for (const { device, outputs } of await runOnEveryDevice(sampleInputs(rows), recordSample(1)))
        expect([device, [...outputs[0]!].filter((id) => !(id >= 0 && id < 37))]).toEqual([device, []]);
    }),
    { numRuns: exhaustive ? 200 : 40, seed: 3 },
  );
});

test("settings, biases and histories are of the row's slot", async () => {
  const inputs = sampleInputs([
    row([0, 1, 2], { temperature: 0 }),
    row([0, 1, 2], { temperature: 0, biases: [[0, 9]] }),
  ]);
  const swapped = { ...inputs, slots: { ...inputs.slots, data: Int32Array.of(-1, 0, 1) } };
  const first = await runEverywhere(inputs, recordSample(1));
  const second = await runEverywhere(swapped, recordSample(1));
  expect([...first.outputs[0]!]).toEqual([2, 0]);
  expect([...second.outputs[0]!]).toEqual([0, 2]);
});
