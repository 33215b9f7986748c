// Files of weights: mapped or read, never of another size than their headers were checked for; tensors that lie where no kernel
// may read them are copied.
import { closeSync, openSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { openDevice, WeightFile } from "#quipu/device/device.js";
import type { Tensor } from "#quipu/device/tensor.js";
import { temporaryFolder } from "../../checkpoint-writer.js";

const path = join(temporaryFolder(), "weights");
const device = openDevice({ threads: 1 });
afterAll(() => device.dispose());

const bytes = Uint8Array.from({ length: 64 }, (_, i) => i);
beforeEach(() => writeFileSync(path, bytes));

async function contents(tensor: Tensor): Promise<number[]> {
  const read = new Float32Array(tensor.shape[0]!);
  await device.run(null, { reads: [[tensor, read]] });
  return [...new Uint8Array(read.buffer)];
}

describe.each([
  ["mapped", true],
  ["read", false],
])("%s", (_, mmap) => {
  test.each([63, 65])("not of %i bytes", (size) => {
    expect(() => new WeightFile(path, size, mmap)).toThrow(
      expect.objectContaining({ code: "ERR_MODEL_INVALID", message: expect.stringMatching(/its size changed/) }),
    );
  });

  test("a tensor at any byte, and none beyond the end", async () => {
    const file = new WeightFile(path, 64, mmap);
    for (const offset of [0, 4, 5, 6, 7, 56]) {
      expect(await contents(file.tensor("t", offset, "f32", [2]))).toEqual([...bytes.subarray(offset, offset + 8)]);
    }
    for (const offset of [57, 64, 65, 2 ** 40]) {
      expect(() => file.tensor("t", offset, "f32", [2])).toThrow(expect.objectContaining({ code: "ERR_INTERNAL" }));
    }
    file.dispose();
  });
});

test("of a mapped file only what is not aligned to its element is a copy", async () => {
  const file = new WeightFile(path, 64, true);
  const tensors = [4, 5, 6, 7].map((offset) => file.tensor("t", offset, "f32", [2]));
  // Whoever writes into the file is seen through the mapping.
  const descriptor = openSync(path, "r+");
  writeSync(descriptor, new Uint8Array(64).fill(255));
  closeSync(descriptor);
  const [aligned, ...others] = await Promise.all(tensors.map(contents));
  expect(aligned).toEqual(Array(8).fill(255));
  expect(others).toEqual([5, 6, 7].map((offset) => [...bytes.subarray(offset, offset + 8)]));
  file.dispose();
});
