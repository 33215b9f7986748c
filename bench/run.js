// The measurements of docs/benchmarks.md, each a file beside this one that prints Markdown.
//
//   node bench/run.js                       all of them but peers, quality, plan and train
//   node bench/run.js roofs speed …         some
//
// Build first (npm run build). What a measurement compares with is installed by hand; it says how where it is missing.
import { cpus } from "node:os";
import process from "node:process";

const BENCHES = [
  "roofs",
  "decode",
  "sequences",
  "tiles",
  "speed",
  "start",
  "memory",
  "contention",
  "sample",
  "rows",
  "requests",
  "quantize",
  "attention",
  "targets",
  "kv",
];
/** Measured where they are named: what they compare with takes minutes to build, or they take that long themselves. A GPU has a command of its own (gpu-check.js). */
const NAMED = ["peers", "quality", "plan", "train"];

const names = process.argv.slice(2);
const unknown = names.filter((name) => ![...BENCHES, ...NAMED].includes(name));
if (unknown.length > 0) {
  console.error(`bench: expected ${[...BENCHES, ...NAMED].join(", ")}; got ${unknown.join(", ")}`);
  process.exit(2);
}
console.log(`${cpus()[0].model.trim()}, ${cpus().length} cores, Node ${process.version}\n`);
for (const name of names.length > 0 ? names : BENCHES) {
  const { measure } = await import(`./${name}.js`);
  console.log(`## ${name}\n\n${await measure()}`);
}
