// quipu plan: what a model takes on this machine, and how fast it is to be, before any of its weights is there.
import { type LoadPlan, type ModelPlan, type PlanOptions, planModel, QuipuError } from "../../index.js";
import type { Context } from "../context.js";
import { printWarning } from "../model-options.js";
import { write } from "../terminal/output.js";
import { Progress } from "../terminal/progress.js";
import { type Cell, formatBytes, formatCount, table } from "../terminal/tables.js";

export interface PlanCommandOptions {
  readonly model?: string;
  readonly ctxSize?: number;
  readonly quantize?: PlanOptions["quantize"];
  readonly kvCache?: PlanOptions["kvCache"];
  readonly device?: PlanOptions["device"];
  readonly threads?: number;
  readonly batchSize?: number;
  readonly speed: boolean;
  readonly json?: boolean;
  readonly quiet?: boolean;
}

/** Positions that the table of caches has a column for, as far as the model goes. */
const CONTEXTS = [2048, 8192, 32768, 131072];

export async function plan(model: string | undefined, options: PlanCommandOptions, { signal }: Context): Promise<void> {
  const { quantize, kvCache, device, threads, batchSize, speed, quiet = false } = options;
  if (model !== undefined && options.model !== undefined) {
    throw new QuipuError("ERR_USAGE", `plan: expected one model, got ${model} and -m ${options.model}`);
  }
  const progress = new Progress({ quiet });
  const planned = await planModel(model ?? options.model, {
    ...{ quantize, kvCache, device, threads, batchSize, speed, signal },
    ...{ contextLength: options.ctxSize, slots: 1 }, // as the other commands load it
    onProgress: (done, total) => progress.draw("measuring", done, total),
  }).finally(() => progress.erase());
  if (!options.json) for (const warning of planned.warnings) printWarning(warning, { quiet });
  if (planned.speedProblem !== undefined && !quiet) {
    const which = planned.loads.some(({ speed }) => speed !== undefined)
      ? "some speeds are missing"
      : "no speed is expected";
    process.stderr.write(`quipu: ${which}: ${planned.speedProblem.replace(/\.$/, "")} (--no-speed leaves it out)\n`);
  }
  const shown = kvCache ?? "f16";
  await write(options.json ? `${JSON.stringify(planned)}\n` : describe(planned, shown));
  // What was asked for, or what a load does that is asked for nothing; of several formats, one is enough.
  const asked = planned.loads.filter((load) => load.kvCache === shown);
  if (!asked.some(({ fits }) => fits)) checkFits(planned, asked[0]!);
}

export function describe(plan: ModelPlan, kvCache: LoadPlan["kvCache"]): string {
  const { config, parameters, files, roofs, loads } = plan;
  const shown = loads.filter((load) => load.kvCache === kvCache);
  const download = files.reduce((sum, { bytes }) => sum + bytes, 0);
  const count = files.length === 1 ? "1 file" : `${files.length} files`;
  const lines: [string, string][] = [
    ["model", plan.where],
    ["size", `${formatCount(parameters)} parameters in ${config.layers} layers; ${count} of ${formatBytes(download)}`],
    whereOf(plan),
  ];
  if (roofs !== undefined) {
    const [reads, peak, integerPeak] = [roofs.readBandwidth, roofs.peak, roofs.integerPeak].map((roof) =>
      (roof / 1e9).toFixed(1),
    );
    lines.push(["roofs", `reads ${reads} GB/s, ${peak} GFLOP/s f32, ${integerPeak} GOP/s int8 (measured now)`]);
  }
  const head = lines.map(([name, value]) => `${name.padEnd(11)}${value}\n`).join("");
  return `${head}\n${weightsTable(shown, config.maxPositions)}\n${cachesTable(plan)}`;
}

/** What it is planned for. */
function whereOf({ cpu, target, threads, gpu, freeMemory }: ModelPlan): [string, string] {
  const free = `${formatBytes(freeMemory)} free`;
  if (gpu !== undefined) return ["gpu", `${gpu.name}, sm_${gpu.capability.replace(".", "")}; ${free}`];
  return ["machine", `${cpu}, ${target}, ${threads} ${threads === 1 ? "thread" : "threads"}; ${free}`];
}

function weightsTable(loads: ModelPlan["loads"], most: number): string {
  const expected = loads.find(({ speed }) => speed !== undefined)?.speed;
  const header = ["weights", "bits", "size", "cache", "positions", "workspace", "in all", "fits", "longest context"];
  if (expected !== undefined) header.push(`pp${expected.promptTokens} t/s`, `tg${2 * expected.depth} t/s`);
  const rows = loads.map((load): Cell[] => {
    const { weightBytes, cacheBytes, stateBytes, arenaBytes, totalBytes, largestContext, speed } = load;
    return [
      load.quantize,
      load.bitsPerWeight.toFixed(2),
      formatBytes(weightBytes),
      `${load.kvCache} ${formatBytes(cacheBytes)}`,
      load.contextLength,
      formatBytes(stateBytes + arenaBytes),
      formatBytes(totalBytes),
      load.fits ? "yes" : "no",
      largestContext === 0 ? "none" : `${largestContext}${largestContext === most ? " (all)" : ""}`,
      ...(expected === undefined ? [] : [rate(speed?.prompt), rate(speed?.decode)]),
    ];
  });
  return table(header, rows);
}

function rate(perSecond: number | undefined): string {
  if (perSecond === undefined) return "";
  return perSecond >= 100 ? perSecond.toFixed(0) : perSecond.toPrecision(3);
}

/** Bytes of a cache by its type and the positions in it; those of one slot. */
function cachesTable({ config, loads }: ModelPlan): string {
  const contexts = [...CONTEXTS.filter((positions) => positions < config.maxPositions), config.maxPositions];
  const types = [...new Map(loads.map((load) => [load.kvCache, load.cacheBytesPerPosition]))];
  return table(
    ["cache", "a position", ...contexts.map((positions) => `at ${positions}`)],
    types.map(([type, bytes]) => [
      type,
      formatBytes(bytes),
      ...contexts.map((positions) => formatBytes(positions * bytes)),
    ]),
  );
}

/** @throws {QuipuError} ERR_OUT_OF_MEMORY that says what would fit, for a load that does not. */
export function checkFits({ where, freeMemory }: Pick<ModelPlan, "where" | "freeMemory">, load: LoadPlan): void {
  if (load.fits) return;
  const { quantize, kvCache, contextLength, totalBytes, fitting = {} } = load;
  const [needed, free] = [totalBytes, freeMemory].map((bytes) => `${Math.ceil(bytes / 2 ** 20)} MiB`);
  const weights = quantize === "none" ? "as it is" : `in ${quantize}`;
  const none = Object.keys(fitting).length === 0 ? " No option by itself makes it fit." : "";
  throw new QuipuError(
    "ERR_OUT_OF_MEMORY",
    `${where} ${weights} with a ${kvCache} cache of ${contextLength} positions needs ${needed}, ${free} are free.${none}`,
    { fitting },
  );
}
