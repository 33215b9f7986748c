// Lint for TypeScript: which room of src imports which, and that no imports run in a circle. Types count, and so does import():
// what only runs late, or never, still makes two files one.
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const src = join(dirname(dirname(fileURLToPath(import.meta.url))), "src");

/** What any room may use: files below all rooms. */
const BASE = ["arguments", "errors", "nearest", "once", "utf8", "warnings"];

/** A room, or a file beside the rooms, and what else of src it may import: itself, these and no others. */
const ALLOWED = {
  arguments: ["errors", "nearest"],
  errors: [],
  nearest: [],
  once: [],
  utf8: [],
  warnings: [],
  addon: [...BASE],
  checkpoint: [...BASE, "machine"],
  jinja: ["once"],
  machine: [...BASE, "addon"],
  tokenizer: [...BASE, "addon", "checkpoint", "machine"],
  chat: [...BASE, "checkpoint", "jinja", "tokenizer"],
  device: [...BASE, "addon", "machine"],
  graph: [...BASE, "addon", "device"],
  model: [...BASE, "checkpoint", "device", "graph", "machine"],
  generate: [...BASE, "chat", "checkpoint", "device", "graph", "machine", "model", "tokenizer"],
  data: [...BASE, "checkpoint", "machine", "tokenizer"],
  train: [...BASE, "checkpoint", "data", "device", "generate", "graph", "machine", "model", "tokenizer"],
  benchmark: [...BASE, "device", "generate", "machine", "model", "tokenizer"],
  index: [
    ...BASE,
    "benchmark",
    "chat",
    "checkpoint",
    "data",
    "device",
    "generate",
    "machine",
    "model",
    "tokenizer",
    "train",
  ],
  // The public library; and what --help, which must be quick, needs without all of it.
  cli: ["errors", "index", "nearest", "utf8"],
};

/** Who may use which package. */
const PACKAGES = { commander: "cli", "js-tiktoken": "tokenizer", undici: "checkpoint" };

const IMPORTS = [/^(?:import|export)\b[^;"]*?\bfrom\s+"([^"]+)"/gm, /^import\s+"([^"]+)"/gm, /\bimport\(\s*"([^"]+)"/g];

const roomOf = (path) => path.split("/")[0].replace(/\.ts$/, "");
const problems = [];
/** The files that each file imports. */
const imports = new Map();
const files = readdirSync(src, { recursive: true }).filter((name) => name.endsWith(".ts"));
for (const file of files) {
  const room = roomOf(file);
  const allowed = ALLOWED[room];
  if (allowed === undefined) {
    problems.push(`src/${file}: no rule says what it may import (scripts/check-imports.js)`);
    continue;
  }
  const text = readFileSync(join(src, file), "utf8");
  const imported = new Set();
  imports.set(file, imported);
  for (const [, name] of IMPORTS.flatMap((pattern) => [...text.matchAll(pattern)])) {
    if (name.startsWith("node:")) continue;
    if (!name.startsWith(".")) {
      const user = Object.entries(PACKAGES).find(([of]) => name === of || name.startsWith(`${of}/`))?.[1];
      if (user !== room) problems.push(`src/${file}: imports ${name}: ${user ?? "nothing"} may`);
      continue;
    }
    const path = relative(src, join(src, dirname(file), name.replace(/\.js$/, ".ts")));
    imported.add(path);
    const other = roomOf(path);
    if (other !== room && !allowed.includes(other)) {
      problems.push(`src/${file}: imports ${name}: src/${room} may import ${allowed.join(", ") || "nothing"}`);
    }
  }
}

/** Files whose imports have been followed to the end, and those on the way to the file that is followed now. */
const done = new Set();
const way = [];
function follow(file) {
  if (done.has(file)) return;
  const start = way.indexOf(file);
  if (start >= 0) {
    problems.push(`imports run in a circle: ${[...way.slice(start), file].map((name) => `src/${name}`).join(" → ")}`);
    return;
  }
  way.push(file);
  for (const next of imports.get(file) ?? []) follow(next);
  way.pop();
  done.add(file);
}
for (const file of files) follow(file);

if (problems.length > 0) {
  console.error(problems.join("\n"));
  process.exit(1);
}
