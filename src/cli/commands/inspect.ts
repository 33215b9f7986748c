// quipu inspect: what a checkpoint is.
import { inspectModel, type ModelReport, type RopeConfig } from "../../index.js";
import type { Context } from "../context.js";
import { ensureModel } from "../fetch.js";
import { write } from "../terminal/output.js";
import { describeStop } from "../terminal/stops.js";
import { formatBytes, formatCount, formatWeights, table } from "../terminal/tables.js";

export interface InspectOptions {
  readonly model?: string;
  readonly ctxSize?: number;
  readonly kvCache?: "f32" | "f16" | "int8";
  readonly tensors?: boolean;
  readonly json?: boolean;
}

export async function inspect(model: string | undefined, options: InspectOptions, context: Context): Promise<void> {
  await ensureModel(model ?? options.model, {}, context);
  const report = await inspectModel(model ?? options.model, {
    contextLength: options.ctxSize,
    kvCache: options.kvCache,
  });
  if (options.json) return write(`${JSON.stringify(report)}\n`);
  await write(describe(report, options.tensors === true));
}

function describeScaling({ scaling }: RopeConfig): string {
  if (scaling === undefined) return "";
  const original = scaling.type === "linear" ? "" : ` from ${scaling.originalMaxPositions} positions`;
  const attention = scaling.type === "yarn" ? `, attention factor ${+scaling.attentionFactor.toFixed(4)}` : "";
  return `, ${scaling.type} scaling × ${scaling.factor}${original}${attention}`;
}

function describe(report: ModelReport, all: boolean): string {
  const { dir, config, head, files, dtypes, parameters, memory, tensors, tokenizer, stopTokens, warnings } = report;
  const lines: [string, string][] = [
    ["folder", dir],
    ["files", files.map(({ name, bytes }) => `${name} (${formatBytes(bytes)})`).join(", ")],
    ["parameters", `${formatCount(parameters)} (${parameters})`],
    [
      "dtypes",
      dtypes.map(({ dtype, tensors: count, bytes }) => `${dtype} ${count} tensors, ${formatBytes(bytes)}`).join("; "),
    ],
    ["weights", formatWeights(report.formats, report.bitsPerWeight, memory.weightBytesPerToken)],
    ["layers", `${config.layers} of ${config.hiddenSize} features, feed-forward ${config.intermediateSize}`],
    ["attention", `${config.heads} query heads, ${config.kvHeads} key/value heads of ${config.headSize}`],
    ["vocabulary", `${config.vocabSize} ids, ${head === "tied" ? "head tied to the embedding" : "a head of its own"}`],
    ["positions", `${config.maxPositions}, rope theta ${config.rope.theta}${describeScaling(config.rope)}`],
    ["tokenizer", tokenizer],
    ["stops at", stopTokens.map(describeStop).join("; ") || "nothing: no file names a token"],
    [
      "memory",
      `weights ${formatBytes(memory.weightBytes)} + ${memory.kvCache} cache ${formatBytes(memory.cacheBytes)} at ${memory.contextLength} positions (${formatBytes(memory.cacheBytesPerPosition)} each)`,
    ],
  ];
  for (const { message } of warnings) lines.push(["warning", message]);
  const text = lines.map(([name, value]) => `${name.padEnd(11)}${value}\n`).join("");
  if (!all) return `${text}tensors    ${tensors.length} (--tensors lists them)\n`;
  const rows = tensors.map(({ name, dtype, shape, file }) => [name, dtype, `[${shape.join(", ")}]`, file]);
  return `${text}\n${table(["tensor", "dtype", "shape", "file"], rows)}`;
}
