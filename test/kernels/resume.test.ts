import fc from "fast-check";
import type { Recorder } from "#quipu/graph/recorder.js";
import type { Value } from "#quipu/graph/recording.js";
import { type Contents, i32 } from "./contents.js";
import { runExactly } from "./run-op.js";

type Name = "rowIds" | "rowSlots" | "rowPositions" | "lastIds" | "nextPositions" | "ids" | "slots" | "positions";

interface Step {
  readonly rowIds: number[];
  readonly rowSlots: number[];
  readonly rowPositions: number[];
  readonly lastIds: number[];
  readonly nextPositions: number[];
}

const CONTEXT = 9;

function contents({ rowIds, rowSlots, rowPositions, lastIds, nextPositions }: Step): Record<Name, Contents> {
  const [rows, slots] = [rowIds.length, lastIds.length];
  const before = new Array<number>(rows).fill(0); // of another step
  return {
    rowIds: i32([rows], rowIds),
    rowSlots: i32([rows], rowSlots, slots),
    rowPositions: i32([rows], rowPositions),
    lastIds: i32([slots], lastIds),
    nextPositions: i32([slots], nextPositions, CONTEXT),
    ids: i32([rows], before),
    slots: i32([rows], before, slots),
    positions: i32([rows], before, CONTEXT),
  };
}

const record = (r: Recorder, rows: Readonly<Record<Name, Value>>) => {
  r.resume(rows);
  return [];
};

/** [id, slot, position] of each row. */
async function resumed(given: Record<Name, Contents>): Promise<number[][]> {
  const { ids, slots, positions } = (await runExactly(given, record)).state;
  return Array.from(ids, (id, t) => [id, slots[t]!, positions[t]!]);
}

const PADDING = [0, -1, -1];

test("rows of the host, of slots that go on, of slots that have ended, and padding", async () => {
  const step: Step = {
    rowIds: [5, 6, 7, 7, 7],
    rowSlots: [2, 2, 0, 1, -1],
    rowPositions: [0, 1, -1, -1, 4],
    lastIds: [40, 41, 42],
    nextPositions: [8, -1, 3],
  };
  expect(await resumed(contents(step))).toEqual([[5, 2, 0], [6, 2, 1], [40, 0, 8], PADDING, PADDING]);
});

test("any step", async () => {
  const step = fc.tuple(fc.nat(6), fc.integer({ min: 1, max: 4 })).chain(([rows, slots]) => {
    const list = (length: number, min: number, max: number) =>
      fc.array(fc.integer({ min, max }), { minLength: length, maxLength: length });
    return fc.record({
      rowIds: list(rows, -(2 ** 31), 2 ** 31 - 1),
      rowSlots: list(rows, -1, slots - 1),
      rowPositions: list(rows, -1, CONTEXT - 1),
      lastIds: list(slots, -(2 ** 31), 2 ** 31 - 1),
      nextPositions: list(slots, -1, CONTEXT - 1),
    });
  });
  const check = async (step: Step) => {
    const expected = step.rowSlots.map((slot, t) => {
      const own = step.rowPositions[t]! >= 0;
      const id = own ? step.rowIds[t]! : step.lastIds[slot]!;
      const position = own ? step.rowPositions[t]! : step.nextPositions[slot]!;
      return slot < 0 || position < 0 ? PADDING : [id, slot, position];
    });
    expect(await resumed(contents(step))).toEqual(expected);
  };
  await fc.assert(fc.asyncProperty(step, check), { numRuns: process.env.QUIPU_EXHAUSTIVE ? 400 : 60, seed: 1 });
});

test("what would break the bound of what is written becomes padding", async () => {
  const step: Step = {
    rowIds: [1, 2, 3, 4],
    rowSlots: [0, 0, 1, 1],
    rowPositions: [2 ** 31 - 1, 3, -(2 ** 31), 0],
    lastIds: [8, 9],
    nextPositions: [0, 4],
  };
  const given = contents(step);
  const positions = { ...given.positions, bound: 3 };
  expect(await resumed({ ...given, positions })).toEqual([PADDING, PADDING, PADDING, [4, 1, 0]]);
  expect(await resumed({ ...given, slots: { ...given.slots, bound: 1 } })).toEqual([
    PADDING,
    [2, 0, 3],
    PADDING,
    PADDING,
  ]);
});
