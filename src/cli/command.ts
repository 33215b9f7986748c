// A command of commander's that says more where an option is wrong, and that takes options given before its name.
import { Command } from "commander";
import { QuipuError } from "../errors.js";
import { nearest } from "../nearest.js";
import { ALIASES } from "./aliases.js";
import { LATER_OPTIONS } from "./options.js";

export class QuipuCommand extends Command {
  #allowsUnknown = false;

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

  /** Called by commander for a word that is none of the commands below this one. */
  unknownCommand(): never {
    const [name = ""] = this.args;
    const names = this.commands.map((command) => command.name());
    const near = nearest(name, names);
    const instead =
      near === undefined ? `There ${names.length === 1 ? "is" : "are"} ${names.join(", ")}.` : `Did you mean ${near}?`;
    throw new QuipuError("ERR_USAGE", `unknown command '${pathOf(this)} ${name}'. ${instead}`);
  }

  override allowUnknownOption(allow = true): this {
    this.#allowsUnknown = allow;
    return super.allowUnknownOption(allow);
  }

  /** Called by commander for an option that the command does not have. */
  unknownOption(flag: string): void {
    if (this.#allowsUnknown) return;
    const help = `'${["quipu", pathOf(this)].filter(Boolean).join(" ")} --help' lists the options`;
    if (LATER_OPTIONS.has(flag)) throw new QuipuError("ERR_USAGE", `${flag} is not in this version; ${help}.`);
    const known = this.options.filter(({ hidden }) => !hidden).map(({ long }) => long ?? "");
    const aliases = Object.keys(ALIASES).filter((alias) => known.includes(ALIASES[alias]!));
    const near = meant(flag, [...known, ...aliases, "--help"]);
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

/** The option that was meant: near in its letters, else one that begins like it. */
function meant(flag: string, candidates: readonly string[]): string | undefined {
  const long = candidates.filter((candidate) => candidate.startsWith("--"));
  const near = flag.startsWith("--")
    ? nearest(
        flag.slice(2),
        long.map((candidate) => candidate.slice(2)),
      )
    : undefined;
  if (near !== undefined) return `--${near}`;
  return flag.length > 3 ? candidates.find((candidate) => candidate.startsWith(flag)) : undefined;
}
