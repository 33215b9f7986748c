// Steps that are left out, and when a run ends for them.
import { Guard } from "#quipu/train/guard.js";

const step = (gradientNorm: number, skipped = false) => ({ loss: 2, gradientNorm, skipped });

test("nothing is a spike before there is a mean, then what is ten times above it", () => {
  const guard = new Guard(3);
  for (let i = 1; i <= 19; i++) {
    expect(guard.skipAbove).toBe(Number.POSITIVE_INFINITY);
    guard.note(step(i % 2 === 0 ? 1 : 3));
  }
  guard.note(step(2));
  expect(guard.skipAbove).toBeGreaterThan(19);
  expect(guard.skipAbove).toBeLessThan(22);
  // What is left out does not count for the mean.
  const before = guard.skipAbove;
  guard.note(step(1e9, true));
  expect(guard.skipAbove).toBe(before);
});

test("the mean follows the norms of late", () => {
  const guard = new Guard(3);
  for (let i = 1; i <= 50; i++) guard.note(step(100));
  for (let i = 51; i <= 300; i++) guard.note(step(1));
  expect(guard.skipAbove).toBeGreaterThan(10);
  expect(guard.skipAbove).toBeLessThan(20);
});

test("goes on from its state, and ends a run after so many steps left out one after another", () => {
  const guard = new Guard(3);
  for (let i = 1; i <= 30; i++) guard.note(step(1));
  guard.note(step(Number.NaN, true));
  guard.note(step(Number.NaN, true));
  guard.note(step(1));
  guard.note(step(50, true));
  guard.note(step(50, true));
  guard.check({ step: 35, ...step(50, true) });
  const again = new Guard(3, JSON.parse(JSON.stringify(guard.state)));
  expect(again.skipAbove).toBe(guard.skipAbove);
  const last = step(Number.POSITIVE_INFINITY, true);
  again.note(last);
  expect(() => again.check({ step: 36, ...last })).toThrow(
    /^step 36: 3 steps one after another were left out: loss 2\.000, norm of the gradient Infinity, of those before 1\.000\. Begin a run with/,
  );
  expect(() => again.check({ step: 36, ...last })).toThrow(expect.objectContaining({ code: "ERR_NOT_A_NUMBER" }));
});
