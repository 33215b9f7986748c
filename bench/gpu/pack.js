// A copy of what a check of a GPU runs from, as one archive for a machine without a network.
import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import process from "node:process";
import { ROOT } from "../measure.js";

/** The most that the archive may have. */
const MOST_BYTES = 64 * 2 ** 20;
const MODULES = ["quipu", "quipu-cuda", "quipu-reference"].map((name) => `build/Release/${name}.node`);
const TREES = [
  ...["package.json", "bench", "dist", "models/storyteller", "test/reference/tiny", "test/cuda/suites.js"],
  ...["build/test", ...MODULES],
];
/** What tests run by: others of package.json's are loaded by who asks the hub, or for a public encoding. */
const PACKAGES = ["jest", "fast-check"];
/** Of packages, what no program reads. */
const USELESS = /\.(map|md|ts|cts|mts|flow)$|\/(docs?|__tests__|LICENSES)$/;

/** Folders of packages, and of all that they depend on, as npm has put them. */
function foldersOf(names) {
  const found = new Set();
  const visit = (name, from) => {
    for (let at = from; ; at = dirname(at)) {
      const folder = join(at, "node_modules", name);
      if (existsSync(join(folder, "package.json"))) {
        if (found.has(folder)) return;
        found.add(folder);
        const { dependencies = {}, optionalDependencies = {} } = JSON.parse(
          readFileSync(join(folder, "package.json"), "utf8"),
        );
        for (const other of Object.keys({ ...dependencies, ...optionalDependencies })) visit(other, folder);
        return;
      }
      if (at === ROOT.replace(/\/$/, "") || at === dirname(at)) return; // optional, for another platform
    }
  };
  for (const name of names) visit(name, ROOT.replace(/\/$/, ""));
  return [...found];
}

/**
 * Writes the archive, a folder quipu-gpu-check, and returns how it is used.
 *
 * @throws {Error} where something is not built, or it becomes too large.
 */
export function pack(file, { node }) {
  const missing = TREES.find((path) => !existsSync(join(ROOT, path)));
  if (missing !== undefined) {
    throw new Error(`there is no ${missing}: npm run build && npm run build:cuda && npm run --silent pretest`);
  }
  const folder = mkdtempSync(join(tmpdir(), "quipu-pack-"));
  const to = join(folder, "quipu-gpu-check");
  try {
    for (const path of TREES) {
      cpSync(join(ROOT, path), join(to, path), { recursive: true, filter: (from) => !/\.(d\.ts|map)$/.test(from) });
    }
    for (const path of foldersOf(PACKAGES)) {
      const filter = (from) => from === path || !(USELESS.test(from) || from.startsWith(join(path, "node_modules")));
      cpSync(path, join(to, relative(ROOT, path)), { recursive: true, filter });
    }
    if (node) {
      mkdirSync(join(to, "bin"), { recursive: true });
      cpSync(process.execPath, join(to, "bin", "node"), { dereference: true });
    }
    execFileSync("tar", ["-C", folder, "-czf", file, "quipu-gpu-check"]);
  } finally {
    rmSync(folder, { recursive: true });
  }
  const { size } = statSync(file);
  if (size > MOST_BYTES) throw new Error(`${file} has ${size} bytes: more than ${MOST_BYTES}`);
  const program = node ? "bin/node" : "node";
  return `${file}: ${(size / 1e6).toFixed(1)} MB\ntar xf ${file} && cd quipu-gpu-check && ${program} bench/gpu-check.js`;
}
