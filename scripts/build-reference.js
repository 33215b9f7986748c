// Builds the reference device, which only tests use: quipu-reference.node beside build/Release/quipu.node. Nothing to do takes
// a second.
import { spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { createRequire } from "node:module";
import { availableParallelism } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const out = join(root, "build", "reference");
mkdirSync(out, { recursive: true });
const { status, stdout, stderr } = spawnSync(
  process.execPath,
  [
    createRequire(import.meta.url).resolve("cmake-js/bin/cmake-js"),
    "build",
    "--directory",
    root,
    "--out",
    out,
    "--config",
    "Release",
    "--target",
    "quipu-reference",
    "--CDQUIPU_REFERENCE=ON",
    `--CDQUIPU_OUTPUT=${join(root, "build", "Release")}`,
    "--parallel",
    String(availableParallelism()),
  ],
  { cwd: root, encoding: "utf8", env: { ...process.env, npm_config_nodedir: "" } },
);
if (status !== 0) {
  process.stderr.write(`${stdout ?? ""}${stderr ?? ""}`);
  process.exit(1);
}
