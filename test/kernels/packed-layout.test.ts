// How packed weights lie in the files that keep them: another layout under the same number would be read as the old one.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Device } from "#quipu/device/device.js";
import type { Packed } from "#quipu/device/formats.js";
import { bytesOf, type Tensor } from "#quipu/device/tensor.js";
import { compile } from "#quipu/graph/program.js";
import { Recorder } from "#quipu/graph/recorder.js";
import { PreparedFile } from "#quipu/machine/prepared-file.js";
import { temporaryFolder } from "../checkpoint-writer.js";
import { randomF32, randomNumbers } from "./contents.js";
import { TARGETS } from "./run-op.js";

/** kPackedLayout of native/cpu/backend.h, and what a fixed matrix is packed to: who has to change a hash raises the number too. */
const LAYOUT = 1;
const HASHES: Readonly<Record<Packed, string>> = {
  q8: "a99ef0e2fdd8dc3055d5c0ac11f1c8a55107119872dd69f4107ea53af99fc9d7",
  q6: "a0d2b2eade1714333259eb17f5b1fb09243ae134eb06b6d46b312e65caef53c7",
  q4: "a33ad84a52688b07d97431cb14721a51737fa2f38ef1f878dd6783ef80e8e3e3",
};

const SHAPE = [2112, 100] as const;
const path = join(temporaryFolder(), "packed");

test.each(Object.keys(HASHES) as Packed[])(
  "%s is packed to the bytes that it was, whole and by slices, on every instruction set",
  async (format) => {
    const matrix = randomF32(randomNumbers(7), [...SHAPE]);
    for (const target of TARGETS) {
      const device = new Device("cpu", target, 2);
      expect(device.packedLayout).toBe(LAYOUT);
      const source = device.allocate("source", "f32", SHAPE);
      await device.run(null, { writes: [[source, matrix.data as Float32Array]] });
      const bytes = bytesOf(format, SHAPE);
      const file = PreparedFile.make({ path, kind: "test", version: 1, source: new Uint8Array(32) }, "", [
        bytes,
        bytes,
      ]);
      if (typeof file === "string") throw new Error(file);
      const [whole, sliced] = [1, 2].map((section) => device.section("packed", file, section, format, SHAPE));
      const rowsOf = (tensor: Tensor, first: number, rows: number): Tensor => ({
        ...tensor,
        offset: bytesOf(tensor.dtype, [first, SHAPE[1]]),
        shape: [rows, SHAPE[1]],
      });
      const slices = [
        [0, 1024],
        [1024, 1024],
        [2048, 64],
      ].map(([first, rows]) => [rowsOf(source, first!, rows!), rowsOf(sliced!, first!, rows!)] as const);
      for (const [from, to] of [[source, whole!] as const, ...slices]) {
        const r = new Recorder();
        r.output(r.quantize(from, to));
        const program = compile(device, r.finish());
        await program.run();
        program.dispose();
      }
      expect(await file.finish(2)).toBe("");
      file.dispose();
      await device.dispose();
      const all = readFileSync(path);
      const [first, second] = [all.length - 2 * bytes, all.length - bytes].map((at) => all.subarray(at, at + bytes));
      expect(second!.equals(first!)).toBe(true);
      const hash = createHash("sha256").update(first!).digest("hex");
      expect([target, hash]).toEqual([target, HASHES[format]]);
    }
  },
);

test("a section is as large as it was said to be, and written only while the file is made", async () => {
  const device = new Device("cpu", "scalar", 1);
  const file = PreparedFile.make({ path, kind: "test", version: 1, source: new Uint8Array(32) }, "words", [64]);
  if (typeof file === "string") throw new Error(file);
  expect([file.sizes, file.bytes]).toEqual([[5, 64], 128 + 64 + 64]);
  expect(() => device.section("packed", file, 3, "f32", [16])).toThrow(
    expect.objectContaining({ code: "ERR_INTERNAL" }),
  );
  const numbers = Float32Array.from({ length: 16 }, (_, i) => i);
  const before = device.memory().state;
  const room = device.section("room", file, 1, "f32", [16]);
  expect(device.memory().state - before).toBe(64);
  await device.run(null, { writes: [[room, numbers]] });
  device.free(room);
  expect(await file.finish(1)).toBe("");
  await expect(async () => file.finish(1)).rejects.toMatchObject({ code: "ERR_INTERNAL" }); // once
  const made = device.section("made", file, 1, "f32", [16]);
  const read = new Float32Array(16);
  await device.run(null, { reads: [[made, read]] });
  expect(read).toEqual(numbers);
  await expect(device.run(null, { writes: [[made, numbers]] })).rejects.toMatchObject({
    message: expect.stringMatching(/read-only/),
  });
  const beyond = device.section("beyond", file, 1, "f32", [1, 17]);
  const r = new Recorder();
  r.output(r.add(r.input(beyond), r.input(beyond)));
  expect(() => compile(device, r.finish())).toThrow(expect.objectContaining({ code: "ERR_INTERNAL" }));
  file.dispose();
  expect(() => file.sizes).toThrow(expect.objectContaining({ code: "ERR_DISPOSED" }));
  await device.dispose();
});
