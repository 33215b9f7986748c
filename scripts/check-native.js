// Lint for C++: the layout of clang-format, and the direction of includes. `--write` formats in place.
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const native = join(root, "native");
const sourcesIn = (folder) =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.(cc|h|cu)$/.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name));
const files = sourcesIn(native);
const tests = sourcesIn(join(root, "test", "native"));

/** Who may include what: binding → core ← cpu, cuda, reference; cuda → simt. Only binding and the entries know Node-API. */
const ALLOWED = {
  "addon.cc": { folders: ["binding"], napi: true },
  "reference/addon.cc": { folders: ["binding", "core", "reference"], napi: true },
  binding: { folders: ["binding", "core", "cpu", "tokenizer"], napi: true },
  "cuda/addon.cc": { folders: ["binding", "core", "cuda"], napi: true },
  cuda: { folders: ["core", "cuda", "simt"], napi: false },
  simt: { folders: ["simt"], napi: false },
  core: { folders: ["core"], napi: false },
  cpu: { folders: ["core", "cpu"], napi: false },
  reference: { folders: ["core", "reference"], napi: false },
  tokenizer: { folders: ["core", "tokenizer"], napi: false },
};

const problems = [];
for (const file of files) {
  const path = relative(native, file);
  const rule = ALLOWED[path] ?? ALLOWED[path.split("/")[0]];
  if (rule === undefined) {
    problems.push(`native/${path}: no rule says what it may include (scripts/check-native.js)`);
    continue;
  }
  for (const [, quote, name] of readFileSync(file, "utf8").matchAll(/^\s*#include\s+(["<])([^">]+)[">]/gm)) {
    if (name === "napi.h" || name === "node_api.h") {
      if (!rule.napi) problems.push(`native/${path}: includes ${name}: only binding/ and addon.cc may`);
    } else if (quote === '"' && !rule.folders.includes(name.split("/")[0])) {
      problems.push(`native/${path}: includes "${name}": it may include ${rule.folders.join(", ")}`);
    }
  }
}

const mode = process.argv.includes("--write") ? ["-i"] : ["--dry-run", "--Werror"];
const format = spawnSync(join(root, "node_modules", ".bin", "clang-format"), [...mode, ...files, ...tests], {
  encoding: "utf8",
});
if (format.status !== 0)
  problems.push((format.stderr || String(format.error)).trim(), "clang-format: `npm run format` mends this");

if (problems.length > 0) {
  console.error(problems.join("\n"));
  process.exit(1);
}
