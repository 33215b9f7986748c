// Bundles what `tsc` has written: dist/bundle/main.js (the command line) and dist/bundle/index.js (the library), which share
// chunks. Node takes some 0.5 ms to find, read and link a module, so 170 of them kept the first word waiting 50 ms; a dozen
// chunks do not (docs/benchmarks.md, "Start"). Commands stay chunks of their own, loaded when they run.
//
// Paths that the code finds from import.meta.url are two folders below the package's, as dist/<room>/<file>.js is.
import { rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const outdir = join(root, "dist", "bundle");

rmSync(outdir, { recursive: true, force: true });
await build({
  absWorkingDir: root,
  entryPoints: { main: "dist/cli/main.js", index: "dist/index.js" },
  outdir,
  bundle: true,
  splitting: true,
  format: "esm",
  platform: "node",
  target: "node20.19",
  packages: "external",
  sourcemap: true,
  logLevel: "warning",
});
