// Steps that are left out, and when a run ends for them.
import { Guard } from "#quipu/train/guard.js";

const step = (gradientNorm: number, skipped = false) => ({ loss: 2, gradientNorm, skipped });

test("nothing is a spike before there is a mean, then what is ten times above it", () => {
  const guard = new Guard(3);
  for (let i = 1; i <= 19; i++) {
    expect(guard.skipAbove).toBe(Number.POSITIVE_INFINITY);
    guard.note(i, step(i % 2 === 0 ? 1 : 3));
  }
  guard.note(20, step(2));
  expect(guard.skipAbove).toBeGreaterThan(19);
  expect(guard.skipAbove).toBeLessThan(22);
  // What is left out does not count for the mean.
  const before = guard.skipAbove;
  guard.note(21, step(1e9, true));
  expect(guard.skipAbove).toBe(before);
});

test("the mean follows the norms of late", () => {
  const guard = new Guard(3);
  for (let i = 1; i <= 50; i++) guard.note(i, step(100));
  for (let i = 51; i <= 300; i++) guard.note(i, step(1));
  expect(guard.skipAbove).toBeGreaterThan(10);
  expect(guard.skipAbove).toBeLessThan(20);
});

test("goes on from its state, and ends a run after so many steps left out one after another", () => {
  const guard = new Guard(3);
  for (let i = 1; i <= 30; i++) guard.note(i, step(1));
  guard.note(31, step(Number.NaN, true));
  guard.note(32, step(Number.NaN, true));
  guard.note(33, step(1));
  guard.note(34, step(50, true));
  guard.note(35, step(50, true));
  const again = new Guard(3, JSON.parse(JSON.stringify(guard.state)));
  expect(again.skipAbove).toBe(guard.skipAbove);
  expect(() => again.note(36, step(Number.POSITIVE_INFINITY, true))).toThrow(
    /^step 36: 3 steps one after another were left out: loss 2\.000, norm of the gradient Infinity, of those before 1\.000\./,
  );
  expect(() => guard.note(36, step(50, true))).toThrow(expect.objectContaining({ code: "ERR_NOT_A_NUMBER" }));
});
