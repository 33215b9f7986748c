// What steps write of their rows: all that a run may not have written, and nothing else.
import type { Transfer } from "#quipu/device/device.js";
import type { DType, Tensor } from "#quipu/device/tensor.js";
import { type Row, StepInputs } from "#quipu/model/step-inputs.js";

const tensor = (name: string, length: number): Tensor => ({
  ...{ name, dtype: "i32" as DType, shape: [length], offset: 0, indexBound: 9 },
  buffer: { dispose() {} },
});

const inputsOf = (wanted: boolean) =>
  new StepInputs([
    ...["rowIds", "rowSlots", "rowPositions"].map((name) => tensor(name, 8)),
    ...(wanted ? [tensor("outputRows", 4)] : []),
  ]);

const written = (transfers: readonly Transfer[]) =>
  Object.fromEntries(transfers.map(([{ name }, array]) => [name, [...array]]));

/** Rows of a sequence, the first `from`. */
const prompt = (length: number, from = 0): Row[] =>
  Array.from({ length }, (_, i) => ({ id: 100 + from + i, slot: 1, position: from + i }));

test("rows are written as they are; one that names its slot alone has no position", () => {
  const inputs = inputsOf(true);
  const writes = inputs.write([...prompt(2, 5), { slot: 3 }], [1, 2], undefined);
  expect(written(writes)).toEqual({
    rowIds: [105, 106, 0],
    rowSlots: [1, 1, 3],
    rowPositions: [5, 6, -1],
    outputRows: [1, 2],
  });
});

test("what is there is not written again: the same step, and one that begins as it does", () => {
  const inputs = inputsOf(true);
  const decoding = [{ slot: 0 }, { slot: 1 }, { slot: 2 }];
  inputs.write(decoding, [0, 1, 2], undefined);
  expect(inputs.write(decoding, [0, 1, 2], undefined)).toEqual([]);
  expect(inputs.write(decoding.slice(0, 2), [0, 1], undefined)).toEqual([]);
  expect(inputs.write(decoding, [0, 1, 2], undefined)).toEqual([]); // the third is still there
  expect(written(inputs.write(decoding, [0, 2], undefined)).outputRows).toEqual([0, 2]);
  expect(written(inputs.write([{ slot: 1 }], [0], undefined)).rowSlots).toEqual([1]);
  expect(inputs.write([{ slot: 1 }, { slot: 1 }, { slot: 2 }], [0], undefined)).toEqual([]);
});

test("rows that no run has written are not taken to be there, though they look the same", () => {
  const inputs = inputsOf(false);
  const zeros = { id: 0, slot: 0, position: 0 };
  expect(written(inputs.write([zeros], [], undefined)).rowSlots).toEqual([0]);
  expect(written(inputs.write([zeros, zeros], [], undefined)).rowSlots).toEqual([0, 0]);
});

test("which rows are wanted is not relied on where a run of other sequences has written it: that may never start", () => {
  const inputs = inputsOf(true);
  inputs.write([{ slot: 0 }, { slot: 1 }], [0, 1], undefined);
  expect(written(inputs.write([{ slot: 2 }, { slot: 3 }], [0], undefined)).outputRows).toEqual([0]);
  expect(written(inputs.write([{ slot: 2 }, { slot: 3 }], [0, 1], undefined)).outputRows).toEqual([0, 1]);
});

test.each([true, false])(
  "a run that may not have written is not relied on: it was aborted %p, else it failed",
  (aborted) => {
    const inputs = inputsOf(true);
    const controller = new AbortController();
    const [rows, wanted] = [prompt(3), [2]];
    inputs.write(rows, wanted, controller.signal);
    if (aborted) controller.abort();
    else inputs.forget();
    expect(Object.keys(written(inputs.write(rows, wanted, undefined)))).toHaveLength(4);
    expect(inputs.write(rows, wanted, undefined)).toEqual([]);
  },
);
