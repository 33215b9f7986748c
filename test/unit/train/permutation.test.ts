// The order of documents: a permutation, another one for each seed and pass, without patterns.
import { Permutation } from "#quipu/train/permutation.js";

const all = (permutation: Permutation) => Array.from({ length: permutation.size }, (_, i) => permutation.at(i));
const numbers = (size: number) => Array.from({ length: size }, (_, i) => i);

test.each([1, 2, 3, 4, 5, 16, 17, 63, 64, 65, 1000, 4096, 65_537])("of %d numbers has each once", (size) => {
  expect(all(new Permutation(size, 1, 0)).sort((a, b) => a - b)).toEqual(numbers(size));
});

test("differs by seed and by pass, and is the same for the same", () => {
  const of = (seed: number, epoch: number) => all(new Permutation(1000, seed, epoch)).join();
  expect(of(1, 0)).toBe(of(1, 0));
  expect(new Set([of(1, 0), of(2, 0), of(1, 1), of(2, 1), of(10, 0), of(1, 10)]).size).toBe(6);
});

test("puts any number at any place as often as any other", () => {
  // A place of 16 in 8,000 permutations: 500 each are expected. Chi-squared of 15 degrees of freedom is above 44.3 once in 10,000 draws.
  const RUNS = 8000;
  for (const place of [0, 1, 7, 15]) {
    const counts = Array<number>(16).fill(0);
    for (let seed = 0; seed < RUNS; seed++) counts[new Permutation(16, seed, 0).at(place)]! += 1;
    const chi = counts.reduce((sum, count) => sum + (count - RUNS / 16) ** 2 / (RUNS / 16), 0);
    expect(chi).toBeLessThan(44.3);
  }
});

test("neighbours do not stay neighbours", () => {
  const order = all(new Permutation(10_000, 3, 2));
  const near = order.filter((number, i) => i > 0 && Math.abs(number - order[i - 1]!) === 1).length;
  expect(near).toBeLessThan(15); // two are expected
  // Correlation of place and number: its deviation is 1 / √10,000.
  const mean = 4999.5;
  const sum = order.reduce((total, number, i) => total + (number - mean) * (i - mean), 0);
  expect(Math.abs(sum / order.reduce((total, number) => total + (number - mean) ** 2, 0))).toBeLessThan(0.05);
});
