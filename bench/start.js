// How long a user waits: --help, and the embedded storyteller's first text. Medians of ten, in turn with an empty node process.
import { markdown, median, times } from "./measure.js";

const ROUNDS = 10;
const COMMANDS = [
  ["an empty node process", ["-e", "console.log(1)"], "end"],
  ["quipu --help", ["bin/quipu.js", "--help"], "end"],
  ["first text of the storyteller", ["bin/quipu.js", "Once upon a time", "-n", "8"], "first"],
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
