// Spellings of other tools, so that habits carry over. They are rewritten before commander sees them: it reads -sys as -s ys and
// -ngl as -n gl.
import type { Command } from "commander";

export const ALIASES: Readonly<Record<string, string>> = {
  "--predict": "--max-tokens",
  "--n-predict": "--max-tokens",
  "--max_tokens": "--max-tokens",
  "--temperature": "--temp",
  "-sys": "--system",
  "--ctx": "--ctx-size",
  "-ngl": "--n-gpu-layers",
};

/** `args` with every alias in its own spelling; values of options, and what follows `--`, are left alone. */
export function normalizeAliases(program: Command, args: readonly string[]): string[] {
  const options = [program, ...program.commands].flatMap((command) => command.options);
  const withValue = new Set(
    options.filter((option) => option.required).flatMap(({ short, long }) => [short, long].filter(Boolean)),
  );
  const normalized: string[] = [];
  for (let i = 0; i < args.length; i++) {
    const arg = args[i]!;
    if (arg === "--") return [...normalized, ...args.slice(i)];
    const [flag = "", value] = arg.startsWith("--") ? arg.split(/=(.*)/s, 2) : [arg];
    const name = ALIASES[flag] ?? flag;
    normalized.push(value === undefined ? name : `${name}=${value}`);
    if (value === undefined && withValue.has(name) && i + 1 < args.length) normalized.push(args[++i]!);
  }
  return normalized;
}
