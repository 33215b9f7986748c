// Two tensors are the same where all their bytes are, however many pieces they are read in.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { openCheckpoint } from "#quipu/checkpoint/checkpoint.js";
import { sameContents } from "#quipu/checkpoint/contents.js";
import { safetensorsBytes, temporaryFolder } from "../../checkpoint-writer.js";

const dir = temporaryFolder();
const PIECE = 2 ** 20; // what is read at once
const SIZE = 2 * PIECE + 12;

test.each([undefined, 0, PIECE - 1, PIECE, 2 * PIECE - 1, 2 * PIECE, SIZE - 1])("other at byte %p", async (at) => {
  const data = new Uint8Array(SIZE).fill(7);
  const other = Uint8Array.from(data);
  if (at !== undefined) other[at] = 8;
  const tensor = { dtype: "U8", shape: [SIZE] };
  writeFileSync(
    join(dir, "model.safetensors"),
    safetensorsBytes({ a: { ...tensor, data }, b: { ...tensor, data: other } }),
  );
  const checkpoint = await openCheckpoint(dir);
  const [a, b] = ["a", "b"].map((name) => checkpoint.tensors.get(name)!);
  expect(await sameContents(checkpoint, a!, b!)).toBe(at === undefined);
});
