import fc from "fast-check";
import type { Recorder, Value } from "#quipu/graph/recorder.js";
import { type Contents, i32 } from "./contents.js";
import { expectFailureEverywhere, runEverywhere } from "./run-op.js";

type Name = "sampled" | "outputRows" | "stops" | "ids" | "slots" | "positions" | "history";

interface State {
  ids: number[];
  slots: number[];
  positions: number[];
  history: number[][];
}

interface Step extends State {
  sampled: number[];
  outputRows: number[];
  stops: number[][];
}

const VOCABULARY = 50;

function contents({ sampled, outputRows, stops, ids, slots, positions, history }: Step): Record<Name, Contents> {
  const matrix = (rows: number[][], bound?: number) => i32([rows.length, rows[0]!.length], rows.flat(), bound);
  return {
    sampled: i32([sampled.length], sampled),
    outputRows: i32([outputRows.length], outputRows, ids.length),
    stops: matrix(stops),
    ids: i32([ids.length], ids, VOCABULARY),
    slots: i32([slots.length], slots, history.length),
    positions: i32([positions.length], positions, history[0]!.length),
    history: matrix(history, VOCABULARY),
  };
}

const record = (r: Recorder, { sampled, ...state }: Readonly<Record<Name, Value>>) => {
  r.advance(sampled, state);
  return [];
};

async function advanced(step: Step): Promise<State> {
  const { state } = await runEverywhere(contents(step), record);
  const context = step.history[0]!.length;
  const rows = step.history.map((_, slot) => [...state.history.slice(slot * context, (slot + 1) * context)]);
  return { ids: [...state.ids], slots: [...state.slots], positions: [...state.positions], history: rows };
}

/** What src/graph/ops.ts says of each row. */
function expected({ sampled, outputRows, stops, ...state }: Step): State {
  const { ids, slots, positions, history } = structuredClone(state);
  sampled.forEach((id, r) => {
    const t = outputRows[r]!;
    if (t < 0 || slots[t]! < 0 || positions[t]! < 0) return;
    const [slot, next] = [slots[t]!, positions[t]! + 1];
    const full = next >= history[0]!.length;
    if (!full) {
      history[slot]![next] = id;
      ids[t] = id;
      positions[t] = next;
    }
    if (full || stops[slot]!.includes(id)) slots[t] = -1;
  });
  return { ids, slots, positions, history };
}

test("two slots go on, one stops, one is full, padding stays", async () => {
  const step: Step = {
    sampled: [7, 8, 9, 10, -1, -1],
    outputRows: [0, 1, 2, 3, 4, -1],
    stops: [
      [2, 3],
      [8, -1],
      [-1, -1],
      [10, 9],
    ],
    ids: [1, 2, 3, 4, 5],
    slots: [0, 1, 2, 3, -1],
    positions: [0, 1, 3, 2, 1],
    history: [
      [1, -1, -1, -1],
      [0, 2, -1, -1],
      [0, 0, 0, 3],
      [0, 0, 4, -1],
    ],
  };
  expect(await advanced(step)).toEqual({
    ids: [7, 8, 3, 10, 5],
    slots: [0, -1, -1, -1, -1],
    positions: [1, 2, 3, 3, 1],
    history: [
      [1, 7, -1, -1],
      [0, 2, 8, -1],
      [0, 0, 0, 3],
      [0, 0, 4, 10],
    ],
  });
});

test("any step", async () => {
  const step = fc.tuple(fc.integer({ min: 1, max: 6 }), fc.integer({ min: 1, max: 5 })).chain(([rows, context]) => {
    const id = fc.integer({ min: 0, max: VOCABULARY - 1 });
    const list = <T>(item: fc.Arbitrary<T>, length: number) => fc.array(item, { minLength: length, maxLength: length });
    // A slot is in one row at most, as its rows share a history.
    return fc.record({
      sampled: list(id, rows),
      outputRows: fc.shuffledSubarray([...Array(rows).keys()], { minLength: rows }),
      stops: list(list(fc.integer({ min: -1, max: 3 }), 2), rows),
      ids: list(id, rows),
      slots: fc
        .shuffledSubarray([...Array(rows).keys()], { minLength: rows })
        .chain((slots) => list(fc.boolean(), rows).map((keep) => slots.map((slot, t) => (keep[t] ? slot : -1)))),
      positions: list(fc.integer({ min: -1, max: context - 1 }), rows),
      history: list(list(fc.integer({ min: -1, max: VOCABULARY - 1 }), context), rows),
    });
  });
  await fc.assert(
    fc.asyncProperty(step, async (step) => expect(await advanced(step)).toEqual(expected(step))),
    { numRuns: process.env.QUIPU_EXHAUSTIVE ? 2000 : 60, seed: 1 },
  );
});

test.each([VOCABULARY, -1, 2 ** 31 - 1, -(2 ** 31)])(
  "id %i, which the step's inputs could not hold, fails the run",
  async (id) => {
    const step: Step = {
      sampled: [id],
      outputRows: [0],
      stops: [[-1]],
      ids: [1],
      slots: [0],
      positions: [0],
      history: [[1, -1, -1]],
    };
    await expectFailureEverywhere(contents(step), record, {
      code: "ERR_INTERNAL",
      message: expect.stringContaining("advance, row 0"),
    });
  },
);

test("positions keep the bound of their own buffer, which may be below the context", async () => {
  const step: Step = {
    sampled: [7, 8],
    outputRows: [0, 1],
    stops: [[-1], [-1]],
    ids: [1, 2],
    slots: [0, 1],
    positions: [1, 2],
    history: [
      [0, 1, -1, -1],
      [0, 0, 2, -1],
    ],
  };
  const given = contents(step);
  const { state } = await runEverywhere({ ...given, positions: { ...given.positions, bound: 3 } }, record);
  expect([...state.positions]).toEqual([2, 2]);
  expect([...state.slots]).toEqual([0, -1]);
  expect([...state.history]).toEqual([0, 1, 7, -1, 0, 0, 2, -1]);
});

test("no stop ids, no wanted rows", async () => {
  const step: Step = {
    sampled: [],
    outputRows: [],
    stops: [[]],
    ids: [1],
    slots: [0],
    positions: [0],
    history: [[1, -1]],
  };
  const { ids, slots, positions, history } = step;
  expect(await advanced(step)).toEqual({ ids, slots, positions, history });
});
