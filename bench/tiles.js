// What bounds products by q4 with AVX-512 VNNI: the share of the peak that tiles of its instruction reach, alone and with what the format
// asks for besides (bench/reference/tiles.cc, built with g++ as the kernels are), one thread.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { availableTargets } from "../dist/machine/machine.js";
import { measureRoofs } from "../dist/machine/roofs.js";
import { markdown, output } from "./measure.js";

const TARGET = "avx512-vnni";
const FLAGS = "-std=c++20 -O3 -fno-tree-ter -fno-tree-reassoc -mavx512f -mavx512bw -mavx512vnni".split(" ");

export async function measure() {
  if (!availableTargets().includes(TARGET)) return `not measured: this CPU has no ${TARGET}\n`;
  const folder = mkdtempSync(join(tmpdir(), "quipu-tiles-"));
  try {
    const built = join(folder, "tiles");
    output("g++", [...FLAGS, "bench/reference/tiles.cc", "-o", built]);
    const peak = (await measureRoofs(TARGET, 1)).integerPeak / 1e9;
    const rows = output(built, [])
      .trim()
      .split("\n")
      .map((line) => {
        const [groups, columns, ...rates] = line.split(" ").map(Number);
        const cells = rates.map((rate) => `${rate}, ${((100 * rate) / peak).toFixed(0)} %`);
        return [`${groups} × ${columns}`, ...cells];
      });
    const header = ["tile", "`vpdpbusd` alone", "scales of blocks", "codes of four bits", "both"];
    return `One thread, GOP/s and share of its peak, ${peak.toFixed(0)} GOP/s\n\n${markdown(header, rows)}`;
  } finally {
    rmSync(folder, { recursive: true });
  }
}
