// Which instruction sets there are kernels for is what the system says of the processor, told independently of native.
import { readFileSync } from "node:fs";
import { availableTargets } from "#quipu/machine/machine.js";

/** What /proc/cpuinfo has to name for each, as Linux spells it. */
const NEEDED: Record<string, string[]> = {
  scalar: [],
  avx2: ["avx2", "fma", "f16c", "bmi2"],
  "avx-vnni": ["avx2", "fma", "f16c", "bmi2", "avx_vnni"],
  avx512: ["avx2", "fma", "f16c", "bmi2", "avx512f", "avx512bw", "avx512vl", "avx512dq"],
  "avx512-vnni": ["avx2", "fma", "f16c", "bmi2", "avx512f", "avx512bw", "avx512vl", "avx512dq", "avx512_vnni"],
};

test("kernels are those for the flags of /proc/cpuinfo, slowest first", () => {
  const flags = new Set(
    /^(?:flags|Features)\s*:(.*)$/m.exec(readFileSync("/proc/cpuinfo", "latin1"))?.[1]?.trim().split(/\s+/),
  );
  const there = Object.keys(NEEDED).filter((name) => NEEDED[name]!.every((flag) => flags.has(flag)));
  expect(availableTargets().filter((name) => !name.endsWith("-emulated"))).toEqual(there);
});
