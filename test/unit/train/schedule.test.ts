// Learning rates and batch sizes over a run.
import { microBatchesAt, rateAt, type Schedule } from "#quipu/train/schedule.js";

const COSINE: Schedule = { kind: "cosine", rate: 2, warmUp: 0.1, coolDown: 0.4 };
const LINEAR: Schedule = { ...COSINE, kind: "linear" };
const steps = Array.from({ length: 1000 }, (_, i) => (i + 1) / 1000);

test.each([COSINE, LINEAR])("$kind rises on a straight line to the peak, and is never above it", (schedule) => {
  expect(rateAt(schedule, 0.05)).toBeCloseTo(1, 12);
  expect(rateAt(schedule, 0.1)).toBeCloseTo(2, 12);
  expect(Math.max(...steps.map((progress) => rateAt(schedule, progress)))).toBeCloseTo(2, 12);
  const falling = steps.filter((progress) => progress > 0.1).map((progress) => rateAt(schedule, progress));
  for (let i = 1; i < falling.length; i++) expect(falling[i]).toBeLessThanOrEqual(falling[i - 1]!);
});

test("cosine ends at a tenth, and is half-way between there in the middle", () => {
  expect(rateAt(COSINE, 1)).toBeCloseTo(0.2, 12);
  expect(rateAt(COSINE, 0.55)).toBeCloseTo(1.1, 12);
});

test("linear stays at the peak until the cool-down, and ends at zero", () => {
  expect(rateAt(LINEAR, 0.6)).toBeCloseTo(2, 12);
  expect(rateAt(LINEAR, 0.8)).toBeCloseTo(1, 12);
  expect(rateAt(LINEAR, 1)).toBe(0);
});

test("without a warm-up the first step has the peak; a run that is all warm-up ends with it", () => {
  expect(rateAt({ ...COSINE, warmUp: 0 }, 1e-9)).toBeCloseTo(2, 6);
  expect(rateAt({ ...COSINE, warmUp: 1 }, 1)).toBe(2);
});

test("a ramp goes from one micro-batch to all of them, each number as long as the others", () => {
  const counts = steps.map((progress) => microBatchesAt(4, 0.4, progress - 0.0005));
  expect(counts.slice(0, 100)).toEqual(Array(100).fill(1));
  expect(counts.slice(100, 200)).toEqual(Array(100).fill(2));
  expect(counts.slice(300)).toEqual(Array(700).fill(4));
  expect(microBatchesAt(4, 0, 0)).toBe(4);
  expect(microBatchesAt(1, 1, 0.5)).toBe(1);
});
