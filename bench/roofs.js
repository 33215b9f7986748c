// The roofs that `quipu doctor` measures, beside those of likwid-bench (https://github.com/RRZE-HPC/likwid, Debian's package
// likwid), an independent program: in turn, as machines drift.
import { spawnSync } from "node:child_process";
import { describeMachine, measureRoofs } from "../dist/index.js";
import { markdown, median, output } from "./measure.js";

const ROUNDS = 7;

export async function measure() {
  if (spawnSync("likwid-bench", ["-h"]).error) return "likwid-bench is not installed: apt-get install likwid\n";
  const { target, threads } = describeMachine();
  const set = target === "avx512" ? "avx512" : "avx";
  const likwid = (test, size, iterations, unit) => {
    const text = output("likwid-bench", ["-t", test, "-w", `S0:${size}:${threads}`, "-i", String(iterations)]);
    return Number(new RegExp(`${unit}:\\s+([\\d.]+)`).exec(text)[1]) * 1e6;
  };
  const rounds = [];
  for (let i = 0; i < ROUNDS; i++) {
    const { readBandwidth, peak } = await measureRoofs(target, threads);
    // Best of ten passes there, the mean of ten here: its best round stands for its best pass.
    const read = Math.max(...[0, 1, 2].map(() => likwid(`load_${set}`, "1GB", 10, "MByte/s")));
    const flops = likwid(`peakflops_sp_${set}_fma`, "32kB", 2_000_000, "MFlops/s");
    rounds.push({ readBandwidth, peak, read, flops });
  }
  const row = (name, unit, ours, theirs) => {
    const of = (key, pick) => pick(rounds.map((round) => round[key])) / 1e9;
    const best = (values) => Math.max(...values);
    return [
      name,
      ...[ours, theirs].flatMap((key) => [of(key, median).toFixed(1), of(key, best).toFixed(1)]),
      median(rounds.map((round) => round[ours] / round[theirs])).toFixed(3),
      unit,
    ];
  };
  return markdown(
    ["roof", "quipu, median", "best", "likwid-bench, median", "best", "ratio, median", "unit"],
    [
      row(`read, ${threads} threads`, "GB/s", "readBandwidth", "read"),
      row(`f32 multiply-add, ${target}`, "GFLOP/s", "peak", "flops"),
    ],
  );
}
