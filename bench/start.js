// How long a user waits: --help, and the embedded storyteller's first text, from the bundle and from the single modules that tsc
// has written. Medians, in turn with an empty node process.
import { markdown, median, times } from "./measure.js";

const ROUNDS = 10;
const MODULES = ["--input-type=module", "-e", "(await import('./dist/cli/main.js')).main(process.argv.slice(1))", "--"];
const STORY = ["Once upon a time", "-n", "8"];
const COMMANDS = [
  ["an empty node process", ["-e", "console.log(1)"], "end"],
  ["quipu --help", ["bin/quipu.js", "--help"], "end"],
  ["quipu --help, single modules", [...MODULES, "--help"], "end"],
  ["first text of the storyteller", ["bin/quipu.js", ...STORY], "first"],
  ["first text, single modules", [...MODULES, ...STORY], "first"],
];

export async function measure() {
  const all = COMMANDS.map(() => []);
  for (let i = 0; i < ROUNDS; i++) {
    for (const [k, [, args, what]] of COMMANDS.entries()) all[k].push((await times(args))[what]);
  }
  return markdown(
    ["", "median, ms", "best, ms"],
    COMMANDS.map(([name], k) => [name, median(all[k]).toFixed(0), Math.min(...all[k]).toFixed(0)]),
  );
}
