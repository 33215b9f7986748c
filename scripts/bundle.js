// Bundles what `tsc` has written: dist/bundle/main.js (the command line) and dist/bundle/index.js (the library), which share
// chunks. Node finds, reads, compiles and links each module by itself, which the first word has to wait for; a dozen chunks
// take less time than 170 modules (`node bench/run.js start`). Commands stay chunks of their own, loaded when they run.
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
  logLevel: "warning",
});
