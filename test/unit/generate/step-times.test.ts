import { StepTimes } from "#quipu/generate/step-times.js";

/** A step of so many milliseconds, the device idle before it for some. */
function step(times: StepTimes, promptRows: number, decodeRows: number, took: number, idle = 0, withLogits = false) {
  times.observe({ promptRows, decodeRows, withLogits, started: 1000, ended: 1000 + took, idle });
}

describe("rows of a prompt beside sequences that decode", () => {
  test("are eight, until it is known what a step costs", () => {
    const times = new StepTimes();
    expect(times.promptRows()).toBe(8);
    step(times, 0, 1, 10);
    expect(times.promptRows()).toBe(8);
  });

  test.each([
    [10, 100, 50, 20], // a row takes half a millisecond
    [10, 100, 1000, 8], // never fewer than eight
  ])("take as long as a step of %d ms, where %d rows take %d ms: %d", (decode, rows, prompt, expected) => {
    const times = new StepTimes();
    step(times, 0, 4, decode);
    step(times, rows, 0, prompt);
    step(times, 64, 0, 5000, 0, true); // of which all logits were wanted
    expect(times.promptRows()).toBe(expected);
  });

  test("follow the machine: what a row costs is seen beside others too", () => {
    const times = new StepTimes();
    step(times, 0, 4, 10);
    step(times, 100, 0, 50);
    for (let i = 0; i < 60; i++) step(times, 10, 4, 12); // 0.2 ms a row beside a step of 10
    expect(times.promptRows()).toBe(49);
    for (let i = 0; i < 60; i++) step(times, 0, 4, 20);
    expect(times.promptRows()).toBe(99);
  });

  test("a few rows tell nothing of what a row costs", () => {
    const times = new StepTimes();
    step(times, 0, 1, 10);
    step(times, 7, 0, 70);
    expect(times.promptRows()).toBe(8);
    step(times, 8, 0, 0.8);
    expect(times.promptRows()).toBe(100);
  });
});

test.each([
  [0.07, 58],
  [0.01, 64], // at most
  [0.45, 9],
  [20, 2],
])("steps of %d ms are queued %d ahead: as many as take four milliseconds", (took, expected) => {
  const times = new StepTimes();
  expect(times.ahead).toBe(2);
  step(times, 500, 0, 0.01); // a prompt's tells nothing
  expect(times.ahead).toBe(2);
  step(times, 0, 1, took);
  expect(times.ahead).toBe(expected);
});

test("the idle share is that of decode steps that follow another step", () => {
  const times = new StepTimes();
  expect([times.idleShare, times.rowsPerStep]).toEqual([0, 0]);
  step(times, 100, 0, 50, 1000); // nobody was there before
  step(times, 0, 2, 9, 1);
  step(times, 10, 2, 30, 5); // a prompt's
  step(times, 0, 2, 9, 1);
  expect(times.idleShare).toBeCloseTo(0.1, 10);
  times.pause();
  step(times, 0, 2, 9, 5000);
  expect(times.idleShare).toBeCloseTo(0.1, 10);
  step(times, 0, 1, 1980, 0);
  expect(times.idleShare).toBeCloseTo(0.001, 10);
  for (let i = 0; i < 10; i++) step(times, 0, 2, 900, 100);
  expect(times.idleShare).toBeGreaterThan(0.09); // what was before fades
  expect(times.rowsPerStep).toBeCloseTo((100 + 2 + 12 + 2 + 2 + 1 + 20) / 16, 10);
});
