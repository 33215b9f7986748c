import { truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { readSafetensors } from "#quipu/checkpoint/safetensors.js";
import { safetensorsBytes, temporaryFolder, type WrittenTensor } from "../../checkpoint-writer.js";

const dir = temporaryFolder();
const path = join(dir, "model.safetensors");
const f32 = (shape: number[]): WrittenTensor => ({
  dtype: "F32",
  shape,
  data: new Uint8Array(4 * shape.reduce((a, b) => a * b, 1)),
});
const entry = (dtype: unknown, shape: unknown, range: unknown) => ({ dtype, shape, data_offsets: range });

async function read(bytes: Uint8Array) {
  writeFileSync(path, bytes);
  return readSafetensors(path);
}
const withHeader = (header: unknown, dataBytes: number) =>
  safetensorsBytes({ data: { dtype: "U8", shape: [dataBytes], data: new Uint8Array(dataBytes) } }, header);
const withLength = (length: bigint, rest: string) => {
  const start = Buffer.alloc(8);
  start.writeBigUInt64LE(length);
  return Buffer.concat([start, Buffer.from(rest)]);
};

describe("readSafetensors", () => {
  test("gives each tensor's place in the file", async () => {
    const bytes = safetensorsBytes({
      a: f32([2, 3]),
      scalar: { dtype: "BF16", shape: [], data: new Uint8Array(2) },
      none: f32([0, 5]),
    });
    const { tensors, size } = await read(bytes);
    const start = 8 + Number(bytes.readBigUInt64LE());
    expect(size).toBe(bytes.length);
    expect(tensors.get("a")).toEqual({ name: "a", dtype: "F32", shape: [2, 3], offset: start, bytes: 24 });
    expect(tensors.get("scalar")).toEqual({ name: "scalar", dtype: "BF16", shape: [], offset: start + 24, bytes: 2 });
    expect(tensors.get("none")).toMatchObject({ bytes: 0, shape: [0, 5] });
  });

  test("accepts __metadata__ and tensors in any order", async () => {
    const header = { __metadata__: { format: "pt" }, b: entry("F32", [1], [4, 8]), a: entry("F32", [1], [0, 4]) };
    expect([...(await read(withHeader(header, 8))).tensors.keys()]).toEqual(["b", "a"]);
  });

  test("a header of 2⁶⁴ − 1 bytes, and one beyond the format's limit", async () => {
    await expect(read(withLength(2n ** 64n - 1n, "{}"))).rejects.toMatchObject({
      code: "ERR_MODEL_INVALID",
      message: expect.stringContaining("18446744073709551615"),
    });
    await expect(read(withLength(3n, "{}"))).rejects.toMatchObject({ code: "ERR_MODEL_INVALID" });
    writeFileSync(path, withLength(100_000_001n, "{}"));
    truncateSync(path, 100_000_100);
    await expect(readSafetensors(path)).rejects.toMatchObject({
      code: "ERR_MODEL_INVALID",
      message: expect.stringMatching(/length is 100000001 bytes; the format allows 100000000/),
    });
  });

  test.each<[string, Uint8Array, RegExp]>([
    ["an empty file", new Uint8Array(0), /is empty: its download is incomplete/],
    ["a length of zero", withLength(0n, "{}"), /length is 0/],
    ["something that is no safetensors", withLength(4n, "PK..xx"), /does not begin with/],
    ["a header that is no JSON", withLength(5n, "{nope"), /not valid JSON/],
    ["a header that is not UTF-8", Buffer.concat([withLength(4n, ""), Buffer.from([0x7b, 0xff, 0xfe, 0x7d])]), /UTF-8/],
    [
      "a duplicate name",
      withHeader(
        '{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"\\u0061":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}',
        1,
      ),
      /"a" is there twice/,
    ],
    ["deep JSON", withHeader(`{"a":${"[".repeat(100_000)}${"]".repeat(100_000)}}`, 0), /deeper than 64/],
    [
      "an entry that is no object",
      withHeader({ a: 5 }, 0),
      /a in model.safetensors: expected \{dtype, shape, data_offsets\}, got 5/,
    ],
    ["an unknown dtype", withHeader({ a: entry("F7", [1], [0, 1]) }, 1), /unknown dtype "F7"/],
    ["a dtype of a prototype", withHeader({ a: entry("toString", [1], [0, 1]) }, 1), /unknown dtype/],
    ["a negative size", withHeader({ a: entry("U8", [-1], [0, 1]) }, 1), /shape of whole numbers/],
    ["a fractional size", withHeader({ a: entry("U8", [1.5], [0, 1]) }, 1), /shape of whole numbers/],
    [
      "a size beyond 2⁵³",
      withHeader('{"a":{"dtype":"U8","shape":[9007199254740993],"data_offsets":[0,1]}}', 1),
      /shape of whole numbers/,
    ],
    ["a product beyond 2⁶⁴", withHeader({ a: entry("F32", [2 ** 40, 2 ** 40], [0, 4]) }, 4), /span 4/],
    ["reversed offsets", withHeader({ a: entry("U8", [1], [1, 0]) }, 1), /do not lie in/],
    ["offsets beyond the file", withHeader({ a: entry("U8", [9], [0, 9]) }, 1), /do not lie in/],
    [
      "overlapping ranges",
      withHeader({ a: entry("U8", [2], [0, 2]), b: entry("U8", [2], [1, 3]) }, 3),
      /b in .*overlaps a/,
    ],
    [
      "a gap between ranges",
      withHeader({ a: entry("U8", [1], [0, 1]), b: entry("U8", [1], [2, 3]) }, 3),
      /leaves 1 unused bytes after a/,
    ],
    ["data after the last tensor", withHeader({ a: entry("U8", [1], [0, 1]) }, 5), /Is the download complete/],
    [
      "a shape that disagrees with its range",
      withHeader({ a: entry("F32", [2], [0, 4]) }, 4),
      /F32 \[2\] is 8 bytes, its data_offsets span 4/,
    ],
    [
      "dims whose product is 2⁶⁴",
      withHeader({ a: entry("U8", [2 ** 32, 2 ** 32], [0, 0]) }, 0),
      /is 18446744073709551616 bytes, its data_offsets span 0/,
    ],
    ["metadata that is no text", withHeader({ __metadata__: { a: 1 } }, 0), /__metadata__/],
    [
      "a name from Object.prototype as metadata only",
      withHeader('{"__proto__":{"dtype":"U8","shape":[1],"data_offsets":[0,2]}}', 2),
      /span 2/,
    ],
  ])("refuses %s", async (_, bytes, message) => {
    await expect(read(bytes)).rejects.toMatchObject({
      code: "ERR_MODEL_INVALID",
      message: expect.stringMatching(message),
    });
  });

  test("an offset beyond 2³² is kept whole", async () => {
    // Not a file of that size: the ranges are checked against the size, so the error must show the number unharmed.
    const far = 2 ** 33 + 4;
    await expect(read(withHeader({ a: entry("U8", [far], [0, far]) }, 4))).rejects.toMatchObject({
      message: expect.stringContaining(String(far)),
    });
  });
});
