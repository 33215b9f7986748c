// Roofs that were measured several times.
import { higherRoofs } from "#quipu/machine/roofs.js";

test("of two measurements the higher one of each counts", () => {
  const [a, b] = [
    { readBandwidth: 3, peak: 10, integerPeak: 40 },
    { readBandwidth: 2, peak: 11, integerPeak: 39 },
  ];
  const higher = { readBandwidth: 3, peak: 11, integerPeak: 40 };
  expect([higherRoofs(a, b), higherRoofs(b, a)]).toEqual([higher, higher]);
});
