// quipu benchmark, quipu --benchmark: measured figures as a table, Markdown, JSON or CSV, in llama-bench's columns where they mean the same.
import { basename, resolve } from "node:path";
import { type BenchmarkResult, modelFolder, runBenchmark } from "../../index.js";
import type { Context } from "../context.js";
import { ensureModel } from "../fetch.js";
import { loadOptions, type ModelOptions, withAskedDevice } from "../model-options.js";
import { write } from "../terminal/output.js";
import { Progress } from "../terminal/progress.js";
import { type Cell, csv, formatBytes, formatCount, formatWeights, markdownTable, table } from "../terminal/tables.js";

export interface BenchmarkCommandOptions extends ModelOptions {
  readonly promptTokens?: number;
  readonly genTokens?: number;
  readonly repeats?: number;
  readonly depth?: number;
  readonly format?: "table" | "md" | "json" | "csv";
  readonly temp?: number;
  readonly topK?: number;
  readonly topP?: number;
  readonly minP?: number;
  readonly quiet?: boolean;
}

export async function benchmark(options: BenchmarkCommandOptions, { signal }: Context): Promise<void> {
  const { promptTokens, genTokens, repeats, depth, temp, topK, topP, minP } = options;
  await ensureModel(options.model, options, { signal });
  const progress = new Progress({ quiet: options.quiet === true });
  const result = await runBenchmark(options.model, loadOptions(options, progress, { signal }), {
    ...{ promptTokens, genTokens, repeats, depth, signal },
    sampling: { temperature: temp, topK, topP, minP },
    onProgress: (done, total) => progress.draw("measuring", done, total),
  })
    .catch((error: unknown) => {
      throw withAskedDevice(error, options);
    })
    .finally(() => progress.erase());
  const name = basename(resolve(options.model ?? modelFolder(undefined)));
  if (options.format === "json") return write(`${JSON.stringify(jsonOf(name, result))}\n`);
  const { header, rows } = columnsOf(name, result, options.format ?? "table");
  const render = { table, md: markdownTable, csv }[options.format ?? "table"];
  const [readBandwidth, peak, integerPeak] = (["readBandwidth", "peak", "integerPeak"] as const).map((roof) =>
    (result.roofs[roof] / 1e9).toFixed(1),
  );
  const { formats, bitsPerWeight, weightBytesPerToken } = result.stats;
  const lines = [
    `${result.cpu}: reads ${readBandwidth} GB/s, ${peak} GFLOP/s f32, ${integerPeak} GOP/s int8 (measured in this run)`,
    `${name}: ${formatWeights(formats, bitsPerWeight, weightBytesPerToken)}`,
  ];
  const isMarkdown = options.format === "md";
  if (options.format !== "csv") await write(isMarkdown ? `${lines.join("  \n")}\n\n` : `${lines.join("\n")}\n`);
  await write(render(header, rows));
  if (options.format !== "csv" && result.rows.some(({ roof }) => roof?.above))
    await write(`${isMarkdown ? "\n" : ""}! faster than the roof, which was measured again: it is too low\n`);
}

/** What is printed as a table, or with `format` "csv" as CSV: its cells have full precision and no units. */
export function columnsOf(
  name: string,
  { stats, rows }: BenchmarkResult,
  format: string,
): { header: string[]; rows: Cell[][] } {
  const model = [
    name,
    formatBytes(stats.weightBytes),
    formatCount(stats.parameters),
    `${stats.device} ${stats.target}`,
    stats.threads,
  ];
  const number = (value: number) => (value >= 100 ? value.toFixed(1) : value.toFixed(2));
  if (format === "csv") {
    const header = [
      "model",
      "size",
      "params",
      "formats",
      "bits a weight",
      "bytes a token",
      "backend",
      "threads",
      "test",
      "value",
      "sd",
      "unit",
      "roof value",
      "roof unit",
      "share",
      "above",
    ];
    const cells = rows.map(({ test, value, sd, unit, roof }) => [
      ...[
        name,
        stats.weightBytes,
        stats.parameters,
        stats.formats.map(({ format }) => format).join(" "),
        stats.bitsPerWeight,
        stats.weightBytesPerToken,
        `${stats.device} ${stats.target}`,
        stats.threads,
        test,
        value,
        sd,
        unit,
      ],
      ...[roof?.value ?? "", roof?.unit ?? "", roof?.share ?? "", roof?.above ? "true" : ""],
    ]);
    return { header, rows: cells };
  }
  return {
    header: ["model", "size", "params", "backend", "threads", "test", "t/s", "of the roof", "share"],
    rows: rows.map(({ test, unit, value, sd, roof }) => [
      ...model,
      test,
      `${number(value)}${sd > 0 ? ` ± ${number(sd)}` : ""}${unit === "t/s" ? "" : ` ${unit}`}`,
      roof === undefined ? "" : `${number(roof.value)} ${roof.unit}`,
      roof?.share === undefined ? "" : `${(100 * roof.share).toFixed(0)} %${roof.above ? "!" : ""}`,
    ]),
  };
}

function jsonOf(model: string, { cpu, roofs, stats, settings, rows }: BenchmarkResult) {
  const { weightBytes: size, parameters: params, formats, bitsPerWeight, weightBytesPerToken } = stats;
  return {
    cpu,
    settings: { model, size, params, formats, bitsPerWeight, weightBytesPerToken, ...settings },
    roofs: {
      "GB/s": roofs.readBandwidth / 1e9,
      "GFLOP/s": roofs.peak / 1e9,
      "GOP/s": roofs.integerPeak / 1e9,
    },
    rows: rows.map(({ test, unit, value, sd, roof }) => ({
      test,
      [unit]: value,
      sd,
      ...(roof === undefined ? {} : { [roof.unit]: roof.value, share: roof.share, above: roof.above }),
    })),
  };
}
