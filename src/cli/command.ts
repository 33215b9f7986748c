// A command of commander's that says more where an option is wrong, and that takes options given before its name.
import { Command } from "commander";
import { QuipuError } from "../errors.js";
import { ALIASES } from "./aliases.js";
import { LATER_OPTIONS } from "./options.js";

export class QuipuCommand extends Command {
  override createCommand(name?: string): QuipuCommand {
    return new QuipuCommand(name);
  }

  /**
   * Its options and those of the commands above it: what is given to it wins, then what is given before its name, then defaults.
   *
   * @throws {QuipuError} ERR_USAGE for an option before its name that it does not have.
   */
  allOptions<T extends object>(): T {
    const own = new Map(this.options.map((option) => [option.attributeName(), option]));
    const given: Record<string, unknown> = {};
    for (let command = this.parent; command !== null; command = command.parent) {
      for (const option of command.options) {
        const name = option.attributeName();
        if (command.getOptionValueSource(name) !== "cli" || name in given) continue;
        if (!own.has(name)) {
          throw new QuipuError("ERR_USAGE", `${option.long}: 'quipu ${pathOf(this)}' has no such option`);
        }
        given[name] = command.getOptionValue(name);
      }
    }
    for (const name of own.keys()) {
      if (name in given && this.getOptionValueSource(name) !== "cli") this.setOptionValue(name, given[name]);
    }
    return this.opts() as T;
  }

  /** Called by commander for an option that the command does not have. */
  unknownOption(flag: string): void {
    const help = `'${["quipu", pathOf(this)].filter(Boolean).join(" ")} --help' lists the options`;
    if (LATER_OPTIONS.has(flag)) throw new QuipuError("ERR_USAGE", `${flag} is not in this version; ${help}.`);
    const known = this.options.filter(({ hidden }) => !hidden).map(({ long }) => long ?? "");
    const aliases = Object.keys(ALIASES).filter((alias) => known.includes(ALIASES[alias]!));
    const near = nearest(flag, [...known, ...aliases, "--help"]);
    const takesWords = this.registeredArguments.some((argument) => argument.variadic);
    const dashes = takesWords ? " Words that begin with '-' come after --." : "";
    throw new QuipuError(
      "ERR_USAGE",
      `unknown option '${flag}'${near === undefined ? `; ${help}.${dashes}` : `. Did you mean ${near}?`}`,
    );
  }
}

/** "inspect prompt"; empty for quipu itself. */
function pathOf(command: Command): string {
  return command.parent === null ? "" : `${pathOf(command.parent)} ${command.name()}`.trim();
}

/** The candidate that is least edits away, at most a third of its length; else one that begins like it. */
function nearest(flag: string, candidates: readonly string[]): string | undefined {
  const ranked = candidates
    .filter((candidate) => candidate.startsWith("--") && flag.startsWith("--"))
    .map((candidate) => ({ candidate, edits: editDistance(flag.slice(2), candidate.slice(2)) }))
    .sort((a, b) => a.edits - b.edits);
  const [best] = ranked;
  if (best !== undefined && best.edits <= Math.max(1, Math.floor((best.candidate.length - 2) / 3)))
    return best.candidate;
  return flag.length > 3 ? candidates.find((candidate) => candidate.startsWith(flag)) : undefined;
}

/** Letters put in, left out, changed or swapped with their neighbour. */
function editDistance(a: string, b: string): number {
  let before: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const swapped =
        i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1] ? before[j - 2]! + 1 : a.length + b.length;
      row.push(Math.min(last[j]! + 1, row[j - 1]! + 1, last[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1), swapped));
    }
    before = last;
    last = row;
  }
  return last[b.length]!;
}
