// `quipu help [command]` and `quipu version`, as every command line has them, in the options that do the same. They are commands only
// where nothing else stands beside them, so that "help me write a story" is still a prompt.
import type { Command } from "commander";

/** `args` with these words as --help and --version; anything else is left alone. */
export function normalizeHelpWords(program: Command, args: readonly string[]): string[] {
  const [word, ...rest] = args;
  if (word === "version" && rest.length === 0) return ["--version"];
  if (word !== "help") return [...args];
  let command: Command | undefined = program;
  for (const name of rest) {
    if (rest.length === 1 && (name === "help" || name === "version")) return ["--help"];
    command = command?.commands.find((each) => each.name() === name);
  }
  return command === undefined ? [...args] : [...rest, "--help"];
}
