// Files of weights: views without a copy where that can be, and files that are read off the event loop.
import { readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { openDevice } from "#quipu/device/device.js";
import type { DType } from "#quipu/device/formats.js";
import type { WeightFile } from "#quipu/device/weight-file.js";
import { temporaryFolder } from "../../checkpoint-writer.js";

const MIB = 2 ** 20;
const device = openDevice({ threads: 1 });
afterAll(() => device.dispose());
const folder = temporaryFolder();
const bytes = Uint8Array.from({ length: 4 * MIB + 5 }, (_, i) => (i * 7 + (i >> 8)) % 251);
const path = join(folder, "weights");
writeFileSync(path, bytes);

function place(file: WeightFile, offset: number, dtype: DType, elements: number) {
  const [tensor] = device.place("t", { file, offset, dtype, shape: [elements] }, ["vector"]);
  return tensor;
}

/** MiB of this process that are no file's. */
const taken = () => Number(/RssAnon:\s+(\d+)/.exec(readFileSync("/proc/self/status", "utf8"))![1]) / 1024;

describe.each([true, false])("mmap %p", (mmap) => {
  test.each([0, 1, 2, 3, 4, 64, 65])("a view at byte %i holds the file's bytes", async (offset) => {
    const file = await device.open(path, bytes.length, { mmap });
    const tensor = place(file, offset, "f32", 1000);
    file.dispose();
    const read = new Float32Array(1000);
    await device.run(null, { reads: [[tensor, read]] });
    expect(new Uint8Array(read.buffer)).toEqual(bytes.slice(offset, offset + 4000));
    await expect(device.run(null, { writes: [[tensor, read]] })).rejects.toMatchObject({
      message: expect.stringMatching(/read-only/),
    });
    device.free(tensor);
  });

  test.each([-1, 1, bytes.length])(
    "a file whose size has changed by %i since its header was read is refused",
    async (by) => {
      const changed = join(folder, "changed");
      writeFileSync(changed, bytes);
      truncateSync(changed, bytes.length + by);
      await expect(device.open(changed, bytes.length, { mmap })).rejects.toMatchObject({
        code: "ERR_MODEL_INVALID",
        message: expect.stringMatching(
          new RegExp(`^${changed}: its size changed .*expected ${bytes.length} bytes, got ${bytes.length + by}`),
        ),
      });
    },
  );

  test("a view leaves no file", async () => {
    const file = await device.open(path, bytes.length, { mmap });
    for (const [offset, elements] of [
      [bytes.length - 3, 1],
      [0, bytes.length],
      [2 ** 53, 1],
    ] as const) {
      expect(() => place(file, offset, "f32", elements)).toThrow(
        expect.objectContaining({ code: "ERR_INTERNAL", message: expect.stringMatching(/leaves the file of/) }),
      );
    }
    file.dispose();
    expect(() => place(file, 0, "i8", 1)).toThrow(expect.objectContaining({ code: "ERR_DISPOSED" }));
  });
});

test("a tensor that serves several uses is there once", async () => {
  const reference = openDevice({ device: "reference" });
  for (const each of [device, reference]) {
    const file = await each.open(path, bytes.length, { mmap: true });
    const view = { file, offset: 0, dtype: "f32", shape: [8, 4] } as const;
    const [rows, product] = each.place("t", view, ["rows", "product"]);
    expect(rows).toBe(product);
    each.free(rows);
    file.dispose();
  }
  await reference.dispose();
});

test("a view of a mapped file takes memory where it is a copy, as its elements would not be aligned", async () => {
  const elements = 4 * MIB;
  const mapped = join(folder, "mapped");
  writeFileSync(mapped, new Uint8Array(4 * elements + 4));
  const file = await device.open(mapped, 4 * elements + 4, { mmap: true });
  const before = taken();
  const aligned = [0, 4].map((offset) => place(file, offset, "f32", elements));
  const bytewise = place(file, 3, "i8", 4 * elements);
  expect(taken() - before).toBeLessThan(4);
  const copy = place(file, 2, "f32", elements);
  expect(taken() - before).toBeGreaterThan(14);
  device.free(copy);
  expect(taken() - before).toBeLessThan(4);
  for (const tensor of [...aligned, bytewise]) device.free(tensor);
  file.dispose();
});

describe("a file that is read", () => {
  const large = join(folder, "large");
  const size = 300 * MIB;
  writeFileSync(large, "");
  truncateSync(large, size);

  test("leaves the event loop free, and tells how far it is", async () => {
    let turns = 0;
    const timer = setInterval(() => turns++, 1);
    const seen: number[] = [];
    const file = await device.open(large, size, { mmap: false, onProgress: (done) => seen.push(done) });
    clearInterval(timer);
    file.dispose();
    expect(seen.length).toBeGreaterThan(3);
    expect(seen).toEqual([...seen].sort((a, b) => a - b));
    expect(seen.at(-1)).toBe(size);
    expect(turns).toBeGreaterThan(3);
  });

  test("can be aborted in the middle, and is gone then", async () => {
    const before = taken();
    const controller = new AbortController();
    const onProgress = () => controller.abort();
    const { signal } = controller;
    await expect(device.open(large, size, { mmap: false, onProgress, signal })).rejects.toMatchObject({
      code: "ERR_ABORTED",
    });
    expect(taken() - before).toBeLessThan(32);
    await expect(device.open(large, size, { mmap: false, signal })).rejects.toMatchObject({ code: "ERR_ABORTED" });
  });

  test("that shrinks meanwhile is an error of the model", async () => {
    const shrinking = join(folder, "shrinking");
    writeFileSync(shrinking, "");
    truncateSync(shrinking, size);
    const onProgress = () => truncateSync(shrinking, MIB);
    await expect(device.open(shrinking, size, { mmap: false, onProgress })).rejects.toMatchObject({
      code: "ERR_MODEL_INVALID",
      message: `${shrinking}: ended early while it was being read`,
    });
  });

  test("may be a part of one: its bytes are there, and no others", async () => {
    const seen: number[] = [];
    const options = { mmap: false, part: { offset: 100, bytes: 4000 }, onProgress: (done: number) => seen.push(done) };
    const file = await device.open(path, bytes.length, options);
    expect(seen).toEqual([4000]);
    const tensor = place(file, 0, "f32", 1000);
    expect(() => place(file, 1, "f32", 1000)).toThrow(/leaves the file of/);
    file.dispose();
    const read = new Float32Array(1000);
    await device.run(null, { reads: [[tensor, read]] });
    expect(new Uint8Array(read.buffer)).toEqual(bytes.slice(100, 4100));
    device.free(tensor);
  });

  test.each([
    [bytes.length - 3, 4],
    [bytes.length + 1, 0],
    [2 ** 53, 2 ** 53],
  ])("a part at byte %d of %d bytes leaves the file", async (offset, count) => {
    const options = { mmap: false, part: { offset, bytes: count } };
    await expect(device.open(path, bytes.length, options)).rejects.toMatchObject({ code: "ERR_INTERNAL" });
  });

  test("what a caller's onProgress throws is the caller's", async () => {
    const onProgress = () => {
      throw new RangeError("mine");
    };
    await expect(device.open(path, bytes.length, { mmap: false, onProgress })).rejects.toThrow(RangeError);
  });
});
