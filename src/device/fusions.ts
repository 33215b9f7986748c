// Fusions: ops that do what several others do, and that a pass (graph/passes/fuse.ts) records in their place for a device that
// has kernels of them. Each can be switched off; on a CPU no bit of a result depends on it.
import { QuipuError } from "../errors.js";

export const FUSIONS = [
  "normQkv",
  "normMatmulSwiglu",
  "gatherNorm",
  "matmulAdd",
  "matmulSwiglu",
  "matmulSample",
] as const;

/** The name of the op that takes the place of others. */
export type Fusion = (typeof FUSIONS)[number];

/**
 * The fusions to use: what is asked for (all, none, or those of a list), else what QUIPU_FUSE says (1, 0, or names with commas
 * between), else all.
 *
 * @throws {QuipuError} ERR_USAGE where QUIPU_FUSE names one that is none.
 */
export function chooseFusions(wanted?: boolean | readonly Fusion[]): readonly Fusion[] {
  if (wanted !== undefined) return typeof wanted === "boolean" ? (wanted ? FUSIONS : []) : wanted;
  const variable = process.env.QUIPU_FUSE || "1";
  if (variable === "0" || variable === "1") return variable === "1" ? FUSIONS : [];
  return variable.split(",").map((name) => {
    const fusion = FUSIONS.find((each) => each === name);
    if (fusion !== undefined) return fusion;
    throw new QuipuError("ERR_USAGE", `QUIPU_FUSE: expected 0, 1 or some of ${FUSIONS.join(",")}, got "${variable}"`);
  });
}
