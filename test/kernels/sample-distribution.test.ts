// What sample draws over many positions is distributed as plain f64 says, and nothing else is ever drawn.
import { f32, i32, randomNumbers } from "./contents.js";
import { OTHER_DEVICES, runEverywhere, runOp } from "./run-op.js";
import { PLAIN, type Settings } from "./sample-reference.js";
import { recordSample, sampleInputs } from "./sample-rows.js";

const FEW = 3000; // of devices that compute in plain loops, where many would take minutes
const POSITIONS = process.env.QUIPU_EXHAUSTIVE ? 20_000 : FEW;

/** Probabilities by id, the textbook way: softmax, then the filters one after another, each renormalised. */
function probabilities(logits: readonly number[], { temperature, topK, topP, minP }: Settings): number[] {
  const greatest = Math.max(...logits);
  let left = logits
    .map((logit, id) => ({ id, weight: Math.exp((logit - greatest) / temperature) }))
    .sort((a, b) => b.weight - a.weight || a.id - b.id);
  const total = () => left.reduce((sum, { weight }) => sum + weight, 0);
  if (topK > 0) left = left.slice(0, topK);
  const mass = total();
  let before = 0;
  left = left.filter(({ weight }, rank) => {
    const kept = rank === 0 || before < topP * mass;
    before += weight;
    return kept;
  });
  left = left.filter(({ weight }) => weight >= minP);
  const kept = total();
  const result = new Array<number>(logits.length).fill(0);
  for (const { id, weight } of left) result[id] = weight / kept;
  return result;
}

/** The χ² of n degrees of freedom that chance exceeds once in 10⁵ (Wilson and Hilferty's approximation). */
const limit = (n: number) => n * (1 - 2 / (9 * n) + 4.265 * Math.sqrt(2 / (9 * n))) ** 3;

const SETTINGS: Partial<Settings>[] = [
  {},
  { temperature: 0.5 },
  { temperature: 3 },
  { topK: 7 },
  { topP: 0.8 },
  { minP: 0.15 },
  { topK: 12, topP: 0.7, minP: 0.1, temperature: 1.5 },
  { seedLow: 12345, seedHigh: 6789 },
];

// The larger vocabulary has three blocks; its ids are counted by the hundred.
test.each([
  ...SETTINGS.map((changes) => [24, 1, changes] as const),
  ...[{}, { topK: 700 }, { topP: 0.8 }, { minP: 0.15 }].map((changes) => [1300, 100, changes] as const),
])("%i ids, counted by %i: %j", async (vocabulary, width, changes) => {
  const next = randomNumbers(11);
  const logits = Array.from({ length: vocabulary }, () => Math.fround(2 * next()));
  const settings = { ...PLAIN, ...changes };
  const byId = probabilities(logits, settings);
  // One request, at every position at once.
  const drawn = (positions: number) => {
    const rows = [...Array(positions).keys()];
    return {
      ...sampleInputs([{ logits: Float32Array.from(logits), settings, history: [], position: positions - 1 }]),
      logits: f32(
        [positions, vocabulary],
        rows.flatMap(() => logits),
      ),
      outputRows: i32([positions], rows, positions),
      slots: i32([positions], new Int32Array(positions), 1),
      positions: i32([positions], rows, positions),
    };
  };
  const all = [await runEverywhere(drawn(POSITIONS), recordSample(1))];
  for (const device of OTHER_DEVICES) all.push(await runOp({ device }, drawn(FEW), recordSample(1)));
  const expected = new Array<number>(Math.ceil(vocabulary / width)).fill(0);
  byId.forEach((probability, id) => {
    expected[Math.floor(id / width)]! += probability;
  });
  const cells = expected.filter((probability) => probability > 0).length;
  expect(cells).toBeGreaterThan(2);
  for (const { outputs } of all) {
    const ids = outputs[0]!;
    const counts = expected.map(() => 0);
    for (const id of ids) {
      expect(byId[id]).toBeGreaterThan(0);
      counts[Math.floor(id / width)]! += 1;
    }
    const chiSquare = expected.reduce((sum, probability, cell) => {
      return probability === 0
        ? sum
        : sum + (counts[cell]! - ids.length * probability) ** 2 / (ids.length * probability);
    }, 0);
    expect(chiSquare).toBeLessThan(limit(cells - 1));
  }
});
