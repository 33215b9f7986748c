// quipu doctor: what this machine offers, measured where only a measurement can tell.
import { describeGpus, describeHost, describeMachine, type Host, type Machine, measureRoofs } from "../../index.js";
import type { Context } from "../context.js";
import { write } from "../terminal/output.js";
import { formatBytes } from "../terminal/tables.js";

export async function doctor({ json }: { json?: boolean }, { signal }: Context): Promise<void> {
  if (!json) await writeLines(hostLines(describeHost())); // also where the addon is missing, which the error then is about
  const machine = describeMachine();
  const roofs = await measureRoofs(machine.target, machine.threads, signal);
  const cuda = describeGpus();
  if (json) return write(`${JSON.stringify({ ...machine, roofs, cuda })}\n`);
  const { lastLevelCache } = machine;
  const lines: Line[] = [
    ["addon", addonText(machine)],
    ["kernels", kernelsText(machine)],
    ["threads", `${machine.threads}`],
    ["memory", `${formatBytes(machine.totalMemory)}, ${formatBytes(machine.freeMemory)} free`],
    ["cache", lastLevelCache === undefined ? "not told by the system" : `${formatBytes(lastLevelCache)}, last level`],
    ["bandwidth", `${(roofs.readBandwidth / 1e9).toFixed(1)} GB/s, best of read-only passes in 10 patterns`],
    ["f32 peak", `${(roofs.peak / 1e9).toFixed(1)} GFLOP/s, best of 40 runs of fused multiply-adds`],
    ["int8 peak", `${(roofs.integerPeak / 1e9).toFixed(1)} GOP/s, best of 40 runs of products of 8-bit codes`],
  ];
  cuda.gpus.forEach(({ name, capability, totalMemory, freeMemory }, i) => {
    const memory = `${formatBytes(totalMemory)}, ${formatBytes(freeMemory)} free`;
    lines.push([
      i === 0 ? "cuda" : `cuda:${i}`,
      `${name}, sm_${capability.replace(".", "")}, ${memory}, driver for CUDA ${cuda.driver}`,
    ]);
  });
  if (cuda.problem !== undefined) lines.push(["cuda", `none: ${cuda.problem}`]);
  await writeLines(lines);
}

type Line = [name: string, value: string];

function writeLines(lines: readonly Line[]): Promise<void> {
  return write(lines.map(([name, value]) => `${name.padEnd(11)}${value}\n`).join(""));
}

function hostLines({ version, node, platform, glibc, cpu }: Host): Line[] {
  return [
    ["version", `quipu ${version}, Node ${node}, ${platform}, ${glibc === undefined ? "no glibc" : `glibc ${glibc}`}`],
    ["cpu", cpu],
  ];
}

const ORIGINS = { prebuilt: "prebuilt", built: "built here", named: "named by QUIPU_ADDON" } as const;

function addonText({ addon: { origin, compiler, glibc, path } }: Machine): string {
  const needs = glibc === undefined ? "" : origin === "prebuilt" ? `, for glibc ${glibc} or newer` : `, glibc ${glibc}`;
  return `${ORIGINS[origin]}: ${compiler}${needs} (${path})`;
}

function kernelsText({ targets, target, platform }: Machine): string {
  const names = targets.map((name) => (name === target ? `${name} (in use)` : name)).join(", ");
  return platform.endsWith(" arm64") ? `${names}: plain C++, there are none of NEON yet` : names;
}
