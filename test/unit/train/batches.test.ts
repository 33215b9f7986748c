// Documents to batches: what is in them, that a pass has everything once, and that they go on from anywhere.
import { join } from "node:path";
import { jest } from "@jest/globals";
import type { TokenFile } from "#quipu/data/token-file.js";
import { BatchReader, evaluationBatches } from "#quipu/train/batches.js";
import { Permutation } from "#quipu/train/permutation.js";
import type { TrainingBatch } from "#quipu/train/training-runtime.js";
import { temporaryFolder } from "../../checkpoint-writer.js";
import { someDocuments, tokenFile } from "./token-files.js";

const dir = temporaryFolder();
const DOCUMENTS = someDocuments(60, 37);
const ROWS = DOCUMENTS.reduce((sum, { length }) => sum + length - 1, 0);
let file: TokenFile;
beforeAll(async () => {
  file = await tokenFile(join(dir, "a.tokens"), DOCUMENTS);
});
afterAll(() => file.close());

/** What every batch must be. Gives its pieces: ids with the last target. */
function pieces(batch: TrainingBatch, sequence: number): number[][] {
  const { ids, targets, weights, slots, positions } = batch;
  expect([targets, weights, slots, positions].map(({ length }) => length)).toEqual(Array(4).fill(ids.length));
  expect(weights.every((weight) => weight === 1)).toBe(true);
  const found: number[][] = [];
  for (let row = 0; row < ids.length; row++) {
    if (positions[row] === 0) found.push([ids[row]!]);
    if (found.at(-1)!.at(-1) !== ids[row]) throw new Error(`row ${row} is not the target of the row before it`);
    found.at(-1)!.push(targets[row]!);
  }
  expect([...slots]).toEqual(found.flatMap((piece, slot) => Array(piece.length - 1).fill(slot)));
  expect([...positions]).toEqual(found.flatMap((piece) => Array.from({ length: piece.length - 1 }, (_, i) => i)));
  expect(Math.max(...found.map(({ length }) => length - 1))).toBeLessThanOrEqual(sequence);
  return found;
}

describe.each([
  { batchTokens: 64, maxDocuments: 64, sequence: 16 },
  { batchTokens: 7, maxDocuments: 7, sequence: 7 },
  { batchTokens: 64, maxDocuments: 2, sequence: 64 },
  { batchTokens: 5000, maxDocuments: 5000, sequence: 5000 },
])("batches of %j", (shape) => {
  test("have each row of each document once a pass, in the order of the permutation", async () => {
    const reader = new BatchReader(file, shape, 5);
    let joined: number[] = [];
    const seen: number[][] = [];
    for (let rows = 0; rows < 2 * ROWS; ) {
      const { batch, counts } = await reader.next();
      expect(counts.tokens).toBe(batch.ids.length);
      rows += counts.tokens;
      for (const piece of pieces(batch, shape.sequence)) {
        // A document goes on where its last piece ended.
        if (joined.length > 0 && joined.at(-1) !== piece[0]) throw new Error("a document goes on elsewhere");
        joined.push(...(joined.length === 0 ? piece : piece.slice(1)));
        if (joined.at(-1) !== 1) continue;
        seen.push(joined);
        joined = [];
      }
    }
    const [first, second] = [0, 1].map((epoch) => new Permutation(60, 5, epoch));
    const expected = [first!, second!].flatMap((order) => DOCUMENTS.map((_, i) => DOCUMENTS[order.at(i)]));
    expect(seen.slice(0, 120)).toEqual(expected.slice(0, seen.length));
    expect(seen.length).toBeGreaterThanOrEqual(120);
  });

  test("go on from where any of them began", async () => {
    const reader = new BatchReader(file, shape, 5);
    for (let i = 0; i < 20; i++) {
      const { position } = reader;
      const again = new BatchReader(file, shape, 5, JSON.parse(JSON.stringify(position)));
      const expected = await reader.next();
      expect(await again.next()).toEqual(expected);
      expect(again.position).toEqual(reader.position);
    }
  });
});

test("all rows are used while there are slots", async () => {
  const reader = new BatchReader(file, { batchTokens: 50, maxDocuments: 50, sequence: 20 }, 1);
  for (let i = 0; i < 40; i++) expect((await reader.next()).batch.ids).toHaveLength(50);
});

test("documents longer than a sequence are counted once, where they end", async () => {
  const shape = { batchTokens: 11, maxDocuments: 11, sequence: 10 };
  const reader = new BatchReader(file, shape, 1);
  let long = 0;
  while (reader.position.epoch === 0) {
    const { counts } = await reader.next();
    long += counts.longDocuments;
  }
  // The last batch may have begun the next pass.
  expect(Math.abs(long - DOCUMENTS.filter(({ length }) => length - 1 > 10).length)).toBeLessThanOrEqual(
    reader.position.document,
  );
});

test("of a long document no more is read than a batch takes", async () => {
  const long = await tokenFile(join(dir, "long.tokens"), [Array.from({ length: 5000 }, (_, i) => i % 50)]);
  const read = jest.spyOn(long, "tokens");
  const shape = { batchTokens: 64, maxDocuments: 64, sequence: 16 };
  const reader = new BatchReader(long, shape, 1);
  for (let i = 0; i < 100; i++) await reader.next();
  expect(reader.position.epoch).toBe(1);
  for await (const _ of evaluationBatches(long, shape, 1e9));
  expect(Math.max(...read.mock.calls.map(([start, end]) => end - start))).toBe(17);
  await long.close();
});

test("documents of one token are passed over", async () => {
  const short = await tokenFile(join(dir, "short.tokens"), [[1], [0, 5, 1], [1], [1]]);
  const reader = new BatchReader(short, { batchTokens: 4, maxDocuments: 9, sequence: 4 }, 1);
  for (let i = 0; i < 3; i++)
    expect(pieces((await reader.next()).batch, 4)).toEqual([
      [0, 5, 1],
      [0, 5, 1],
    ]);
  await short.close();
});

test("what is measured is every document once in its order, cut as the sequence cuts it, whatever the batch", async () => {
  const measured = async (batchTokens: number, maxDocuments: number) => {
    const found: number[][] = [];
    for await (const batch of evaluationBatches(file, { batchTokens, maxDocuments, sequence: 16 }, 1e9)) {
      expect(batch.ids.length).toBeLessThanOrEqual(batchTokens);
      expect(new Set(batch.slots).size).toBeLessThanOrEqual(maxDocuments);
      found.push(...pieces(batch, 16));
    }
    return found;
  };
  const expected = DOCUMENTS.flatMap((ids) =>
    Array.from({ length: Math.ceil((ids.length - 1) / 16) }, (_, i) => ids.slice(16 * i, 16 * (i + 1) + 1)),
  );
  expect(await measured(16, 16)).toEqual(expected);
  expect(await measured(100, 100)).toEqual(expected);
  expect(await measured(100, 3)).toEqual(expected);
  let rows = 0;
  for await (const batch of evaluationBatches(file, { batchTokens: 50, maxDocuments: 50, sequence: 16 }, 100))
    rows += batch.ids.length;
  expect(rows).toBeGreaterThanOrEqual(100);
  expect(rows).toBeLessThan(140);
});
