// Roofs that were measured several times.
import { higherRoofs, readBytes } from "#quipu/machine/roofs.js";

test("of two measurements the higher one of each counts", () => {
  const [a, b] = [
    { readBandwidth: 3, peak: 10, integerPeak: 40 },
    { readBandwidth: 2, peak: 11, integerPeak: 39 },
  ];
  const higher = { readBandwidth: 3, peak: 11, integerPeak: 40 };
  expect([higherRoofs(a, b), higherRoofs(b, a)]).toEqual([higher, higher]);
});

test("what is read is many times what caches hold, within half of the memory of this process", () => {
  const [mib, gib] = [2 ** 20, 2 ** 30];
  expect(readBytes(8 * mib, 16 * gib)).toBe(gib / 2);
  expect(readBytes(48 * mib, 16 * gib)).toBe(48 * 16 * mib);
  expect(readBytes(gib, 16 * gib)).toBe(gib);
  expect(readBytes(gib, 600 * mib)).toBe(300 * mib);
  expect(readBytes(gib, 10 * mib)).toBe(64 * mib);
});
