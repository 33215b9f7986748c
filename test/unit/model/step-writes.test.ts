// What steps write of their rows: all that is not there for certain, and nothing else.
import type { DType, Tensor } from "#quipu/device/tensor.js";
import { type Row, StepWrites } from "#quipu/model/step-writes.js";

const tensor = (name: string, length: number): Tensor => ({
  ...{ name, dtype: "i32" as DType, shape: [length], offset: 0, indexBound: 9 },
  buffer: { dispose() {} },
});

/** Of a program with wanted rows, or one that only fills: what steps write, by name, and how they end. */
function stepsOf(hasWanted = true) {
  const writes = new StepWrites([
    ...["rowIds", "rowSlots", "rowPositions"].map((name) => tensor(name, 8)),
    ...(hasWanted ? [tensor("outputRows", 4)] : []),
  ]);
  const queue = (rows: readonly Row[], wanted: readonly number[]) => {
    const { transfers, contents } = writes.write(rows, wanted);
    const written = Object.fromEntries(transfers.map(([{ name }, array]) => [name, [...array]]));
    return { written, land: () => writes.landed(contents) };
  };
  /** Queued, and ended well at once. */
  const run = (rows: readonly Row[], wanted: readonly number[]) => {
    const { written, land } = queue(rows, wanted);
    land();
    return written;
  };
  return { queue, run };
}

const decoding = [{ slot: 0 }, { slot: 1 }, { slot: 2 }];

test("rows are written as they are; one that names its slot alone has no position", () => {
  const { run } = stepsOf();
  const prompt = [
    { id: 105, slot: 1, position: 5 },
    { id: 106, slot: 1, position: 6 },
  ];
  expect(run([...prompt, { slot: 3 }], [1, 2])).toEqual({
    rowIds: [105, 106, 0],
    rowSlots: [1, 1, 3],
    rowPositions: [5, 6, -1],
    outputRows: [1, 2],
  });
  expect(stepsOf(false).run(prompt, [])).toEqual({ rowIds: [105, 106], rowSlots: [1, 1], rowPositions: [5, 6] });
});

test("what is there is not written again: the same step, and one that begins as it does", () => {
  const { run } = stepsOf();
  run(decoding, [0, 1, 2]);
  expect(run(decoding, [0, 1, 2])).toEqual({});
  expect(run(decoding.slice(0, 2), [0, 1])).toEqual({});
  expect(run(decoding, [0, 1, 2])).toEqual({}); // the third is still there
  expect(run(decoding, [0, 2]).outputRows).toEqual([0, 2]);
  expect(run([{ slot: 1 }], [0]).rowSlots).toEqual([1]);
  expect(run([{ slot: 1 }, { slot: 1 }, { slot: 2 }], [0]).rowSlots).toEqual([1, 1, 2]);
});

test("rows of zeros are not taken to be there, though the memory is zeroed", () => {
  const { run } = stepsOf(false);
  const zeros = { id: 0, slot: 0, position: 0 };
  expect(run([zeros], []).rowSlots).toEqual([0]);
  expect(run([zeros, zeros], []).rowSlots).toEqual([0, 0]);
});

test("what is queued may never start: it is written until a run that wrote it has ended well", () => {
  const { queue, run } = stepsOf();
  const first = queue(decoding, [0, 1, 2]);
  const second = queue(decoding, [0, 1, 2]);
  expect(second.written).toEqual(first.written);
  expect(queue(decoding.slice(0, 2), [0, 1]).written.rowSlots).toEqual([0, 1]); // other contents by now
  first.land();
  expect(queue(decoding.slice(0, 2), [0, 1]).written.rowSlots).toEqual([0, 1]); // those of `first` may be gone
  run(decoding, [0, 1, 2]);
  queue([{ slot: 5 }], [0]); // never lands
  expect(queue(decoding, [0, 1, 2]).written.rowSlots).toEqual([0, 1, 2]);
});
