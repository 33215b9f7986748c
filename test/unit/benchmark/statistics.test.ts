import { median, quantile, standardDeviation } from "#quipu/benchmark/statistics.js";

test("the median is the middle one, or between the two in the middle, whatever the order", () => {
  expect(median([3, 1, 2])).toBe(2);
  expect(median([4, 1, 3, 2])).toBe(2.5);
  expect(median([7])).toBe(7);
});

test("a quantile lies between its neighbours by proportion", () => {
  const sorted = [0, 10, 20, 30, 40];
  expect([0, 0.1, 0.5, 0.95, 1].map((share) => quantile(sorted, share))).toEqual([0, 4, 20, 38, 40]);
});

test("the standard deviation is a sample's, and 0 for a single value", () => {
  expect(standardDeviation([2, 4, 4, 4, 5, 5, 7, 9])).toBeCloseTo(Math.sqrt(32 / 7), 12);
  expect(standardDeviation([5])).toBe(0);
});
