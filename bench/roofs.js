// The roofs that `quipu doctor` measures, beside those of programs that share nothing with it: bench/reference/roofs.c, built by the
// C compiler that is here, and likwid-bench (https://github.com/RRZE-HPC/likwid, Debian's package likwid) where it is installed. In turn, as
// machines drift. QUIPU_CPU names another instruction set than the fastest.
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describeMachine, measureRoofs } from "../dist/index.js";
import { markdown, median, output } from "./measure.js";

const ROUNDS = 5;
const ROOFS = { read: "GB/s", peak: "GFLOP/s", integerPeak: "GOP/s" };

/** Functions that measure once and return each roof, in ROOFS's units; undefined where a program has none. */
function programs({ target, threads }, folder) {
  const all = {
    quipu: async () => {
      const { readBandwidth, peak, integerPeak } = await measureRoofs(target, threads);
      return { read: readBandwidth / 1e9, peak: peak / 1e9, integerPeak: integerPeak / 1e9 };
    },
  };
  const built = join(folder, "roofs");
  const flags = ["-O2", "-march=native", "-pthread", "bench/reference/roofs.c", "-o", built];
  if (target !== "scalar" && spawnSync("cc", ["--version"]).status === 0) {
    output("cc", flags);
    all["roofs.c"] = () => {
      const [read, peak, integerPeak] = output(built, [target, String(threads)])
        .trim()
        .split(" ")
        .map(Number);
      return { read, peak, integerPeak };
    };
  }
  if (spawnSync("likwid-bench", ["-h"]).error === undefined) {
    const set = target.startsWith("avx512") ? "avx512" : "avx";
    const likwid = (test, size, iterations, unit) => {
      const text = output("likwid-bench", ["-t", test, "-w", `S0:${size}:${threads}`, "-i", String(iterations)]);
      return Number(new RegExp(`${unit}:\\s+([\\d.]+)`).exec(text)[1]) / 1000;
    };
    all["likwid-bench"] = () => ({
      // Best passes here, the mean of ten there: its best round stands for its best pass.
      read: Math.max(...[0, 1, 2].map(() => likwid(`load_${set}`, "1GB", 10, "MByte/s"))),
      peak: likwid(`peakflops_sp_${set}_fma`, "32kB", 2_000_000, "MFlops/s"),
    });
  }
  return all;
}

export async function measure() {
  const machine = describeMachine();
  const folder = mkdtempSync(join(tmpdir(), "quipu-roofs-"));
  try {
    const all = programs(machine, folder);
    const rounds = [];
    for (let i = 0; i < ROUNDS; i++) {
      const round = {};
      for (const [name, once] of Object.entries(all)) round[name] = await once();
      rounds.push(round);
    }
    const names = Object.keys(all);
    const others = names.slice(1);
    const best = (name, roof) => Math.max(...rounds.map((round) => round[name][roof] ?? 0));
    const cell = (name, roof) => {
      const values = rounds.map((round) => round[name][roof]);
      return values.includes(undefined) ? "" : `${median(values).toFixed(1)}, ${best(name, roof).toFixed(1)}`;
    };
    const rows = Object.entries(ROOFS).map(([roof, unit]) => {
      const othersIn = (round) => Math.max(0, ...others.map((name) => round[name][roof] ?? 0));
      const bestOfOthers = Math.max(0, ...rounds.map(othersIn));
      const ratio = (value) => (bestOfOthers > 0 ? value.toFixed(3) : "");
      return [
        `${roof}, ${machine.target}, ${machine.threads} threads, ${unit}`,
        ...names.map((name) => cell(name, roof)),
        ratio(median(rounds.map((round) => round.quipu[roof] / othersIn(round)))),
        ratio(best("quipu", roof) / bestOfOthers),
      ];
    });
    return markdown(
      ["roof", ...names.map((name) => `${name}, median, best`), "÷ the best other, median of rounds", "of bests"],
      rows,
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
}
