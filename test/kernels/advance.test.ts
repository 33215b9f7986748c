import fc from "fast-check";
import type { Recorder } from "#quipu/graph/recorder.js";
import type { Value } from "#quipu/graph/recording.js";
import { type Contents, i32 } from "./contents.js";
import { expectFailureEverywhere, runExactly } from "./run-op.js";

/** What an op leaves, by slot. */
interface State {
  lastIds: number[];
  nextPositions: number[];
  history: number[][];
}

interface Step extends State {
  sampled: number[];
  outputRows: number[];
  slots: number[];
  positions: number[];
  stops: number[][];
}

type Name = keyof Step;

const VOCABULARY = 50;

function contents(step: Step): Record<Name, Contents> {
  const { sampled, outputRows, slots, positions, stops, lastIds, nextPositions, history } = step;
  const matrix = (rows: number[][], bound?: number) => i32([rows.length, rows[0]!.length], rows.flat(), bound);
  const context = history[0]!.length;
  return {
    sampled: i32([sampled.length], sampled),
    outputRows: i32([outputRows.length], outputRows, slots.length),
    slots: i32([slots.length], slots, history.length),
    positions: i32([positions.length], positions, context),
    stops: matrix(stops),
    lastIds: i32([lastIds.length], lastIds),
    nextPositions: i32([nextPositions.length], nextPositions, context),
    history: matrix(history, VOCABULARY),
  };
}

const record = (r: Recorder, { sampled, ...state }: Readonly<Record<Name, Value>>) => {
  r.advance(sampled, state);
  return [];
};

async function advanced(step: Step): Promise<State> {
  const { state } = await runExactly(contents(step), record);
  const context = step.history[0]!.length;
  const rows = step.history.map((_, slot) => [...state.history.slice(slot * context, (slot + 1) * context)]);
  return { lastIds: [...state.lastIds], nextPositions: [...state.nextPositions], history: rows };
}

/** What src/graph/ops.ts says of each row. */
function expected({ sampled, outputRows, slots, positions, stops, ...state }: Step): State {
  const { lastIds, nextPositions, history } = structuredClone(state);
  sampled.forEach((id, r) => {
    const t = outputRows[r]!;
    if (t < 0 || slots[t]! < 0 || positions[t]! < 0) return;
    const [slot, next] = [slots[t]!, positions[t]! + 1];
    nextPositions[slot] = -1;
    if (id === -1 || next >= history[0]!.length) return;
    history[slot]![next] = id;
    lastIds[slot] = id;
    if (!stops[slot]!.includes(id)) nextPositions[slot] = next;
  });
  return { lastIds, nextPositions, history };
}

test("two slots go on, one stops, one is full, nothing was drawn for one, others are left alone", async () => {
  const step: Step = {
    sampled: [7, 8, 9, 10, -1, -1, 5],
    outputRows: [0, 1, 2, 3, 4, 5, -1],
    slots: [0, 1, 2, 3, 4, -1],
    positions: [0, 1, 3, 2, 0, 1],
    stops: [
      [2, 3],
      [8, -1],
      [-1, -1],
      [11, 9],
      [-1, -1],
      [-1, -1],
    ],
    lastIds: [1, 2, 3, 4, 5, 6],
    nextPositions: [0, 1, 3, -1, 0, 2],
    history: [
      [1, -1, -1, -1],
      [0, 2, -1, -1],
      [0, 0, 0, 3],
      [0, 0, 4, -1],
      [5, -1, -1, -1],
      [6, 6, -1, -1],
    ],
  };
  expect(await advanced(step)).toEqual({
    lastIds: [7, 8, 3, 10, 5, 6],
    nextPositions: [1, -1, -1, 3, -1, 2],
    history: [
      [1, 7, -1, -1],
      [0, 2, 8, -1],
      [0, 0, 0, 3],
      [0, 0, 4, 10],
      [5, -1, -1, -1],
      [6, 6, -1, -1],
    ],
  });
});

test("any step", async () => {
  const step = fc.tuple(fc.integer({ min: 1, max: 6 }), fc.integer({ min: 1, max: 5 })).chain(([rows, context]) => {
    const id = fc.integer({ min: 0, max: VOCABULARY - 1 });
    const list = <T>(item: fc.Arbitrary<T>, length: number) => fc.array(item, { minLength: length, maxLength: length });
    // A slot is in one row at most, as its rows share a history.
    return fc.record({
      sampled: list(fc.oneof({ weight: 5, arbitrary: id }, { weight: 1, arbitrary: fc.constant(-1) }), rows),
      outputRows: fc.shuffledSubarray([...Array(rows).keys()], { minLength: rows }),
      slots: fc
        .shuffledSubarray([...Array(rows).keys()], { minLength: rows })
        .chain((slots) => list(fc.boolean(), rows).map((keep) => slots.map((slot, t) => (keep[t] ? slot : -1)))),
      positions: list(fc.integer({ min: -1, max: context - 1 }), rows),
      stops: list(list(fc.integer({ min: -1, max: 3 }), 2), rows),
      lastIds: list(id, rows),
      nextPositions: list(fc.integer({ min: -1, max: context - 1 }), rows),
      history: list(list(fc.integer({ min: -1, max: VOCABULARY - 1 }), context), rows),
    });
  });
  await fc.assert(
    fc.asyncProperty(step, async (step) => expect(await advanced(step)).toEqual(expected(step))),
    { numRuns: process.env.QUIPU_EXHAUSTIVE ? 400 : 60, seed: 1 },
  );
});

const one: Step = {
  ...{ sampled: [7], outputRows: [0], slots: [0], positions: [1], stops: [[-1]] },
  ...{ lastIds: [1], nextPositions: [1], history: [[0, 1, -1, -1]] },
};

test.each([VOCABULARY, -2, 2 ** 31 - 1, -(2 ** 31)])(
  "id %i, which the history could not hold, fails the run",
  async (id) => {
    await expectFailureEverywhere(contents({ ...one, sampled: [id] }), record, {
      code: "ERR_INTERNAL",
      message: expect.stringContaining("advance, row 0"),
    });
  },
);

test("positions keep the bound of their own buffer, which may be below the context", async () => {
  for (const [bound, next, last] of [
    [3, 2, 7],
    [2, -1, 1],
  ] as const) {
    const given = contents(one);
    const { state } = await runExactly({ ...given, nextPositions: { ...given.nextPositions, bound } }, record);
    expect([...state.nextPositions, ...state.lastIds]).toEqual([next, last]);
  }
});

test("no stop ids, no wanted rows", async () => {
  const { lastIds, nextPositions, history } = one;
  const step = { ...one, sampled: [], outputRows: [], stops: [[]] };
  expect(await advanced(step)).toEqual({ lastIds, nextPositions, history });
});
