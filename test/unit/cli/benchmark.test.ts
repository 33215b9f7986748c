// The columns of `quipu benchmark`.
import { columnsOf } from "#quipu/cli/commands/benchmark.js";
import type { BenchmarkResult } from "#quipu/index.js";

const RESULT = {
  stats: {
    ...{ weightBytes: 4722816, parameters: 2361408, formats: [{ format: "bf16" }], bitsPerWeight: 16 },
    ...{ weightBytesPerToken: 4722816, device: "cpu", target: "avx2", threads: 2 },
  },
  rows: [
    { test: "load", unit: "ms", value: 12, sd: 1 },
    { test: "pp512", unit: "t/s", value: 600, sd: 2, roof: { unit: "GFLOP/s", value: 141.5, share: 0.69 } },
    { test: "tg128", unit: "t/s", value: 107, sd: 0, roof: { unit: "GB/s", value: 33, share: 1.1, above: true } },
    { test: "tg16", unit: "t/s", value: 107, sd: 0, roof: { unit: "GB/s", value: 33 } },
  ],
} as unknown as BenchmarkResult;

test("CSV has the share, and whether it is above the roof, beside each rate that has them", () => {
  const { header, rows } = columnsOf("storyteller", RESULT, "csv");
  expect(header.slice(-4)).toEqual(["roof value", "roof unit", "share", "above"]);
  expect(rows.map((row) => row.slice(-4))).toEqual([
    ["", "", "", ""],
    [141.5, "GFLOP/s", 0.69, ""],
    [33, "GB/s", 1.1, "true"],
    [33, "GB/s", "", ""],
  ]);
  expect(rows.map((row) => row.length)).toEqual(rows.map(() => header.length));
});

test.each(["table", "md"])("%s marks a share above the roof", (format) => {
  const { rows } = columnsOf("storyteller", RESULT, format);
  expect(rows.map((row) => row.at(-1))).toEqual(["", "69 %", "110 %!", ""]);
});
