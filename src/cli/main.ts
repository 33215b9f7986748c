// The command line: parse, run, and give the documented exit status. Commands are loaded when they run, so that --help is quick.
import { CommanderError } from "commander";
import { EXIT_CODES, isQuipuError } from "../errors.js";
import { normalizeAliases } from "./aliases.js";
import { checkArguments } from "./byte-input.js";
import type { Context } from "./context.js";
import { normalizeHelpWords } from "./help-words.js";
import { Interrupt } from "./interrupt.js";
import { inOptionNames } from "./option-names.js";
import { makeProgram } from "./program.js";
import { OutputClosedError, OutputError, watchOutput, write } from "./terminal/output.js";

/** Runs `quipu` with these arguments and sets the exit status of the process. */
export async function main(args: readonly string[]): Promise<void> {
  const interrupt = new Interrupt();
  watchOutput();
  let status = 0;
  try {
    await run(args, interrupt);
  } catch (error) {
    status = report(error);
  }
  process.exitCode = interrupt.status ?? status;
  interrupt.release();
}

async function run(args: readonly string[], interrupt: Interrupt): Promise<void> {
  let help = "";
  const context: Context = {
    signal: interrupt.signal,
    divertInterrupt: (handler, signals) => interrupt.divert(handler, signals),
  };
  const program = makeProgram(context, (text) => {
    help += text;
  });
  checkArguments(args);
  try {
    await program.parseAsync(normalizeAliases(program, normalizeHelpWords(program, args)), { from: "user" });
  } catch (error) {
    const helped = error instanceof CommanderError && (error.exitCode === 0 || error.code === "commander.help");
    if (!helped) throw error;
    await write(help); // --help, --version, and a command that only has commands below it
  }
}

/** Says on stderr what went wrong; returns the exit status. */
function report(error: unknown): number {
  if (error instanceof OutputClosedError) return 0;
  if (error instanceof CommanderError) {
    process.stderr.write(`${error.message.replace(/^error: /, "quipu: ")}\n`);
    return EXIT_CODES.ERR_USAGE;
  }
  if (isQuipuError(error)) {
    // An interrupted run, and one that reported each fault as it met it, has nothing more to report.
    if (error.code !== "ERR_ABORTED" && error.message !== "") process.stderr.write(`quipu: ${inOptionNames(error)}\n`);
    return EXIT_CODES[error.code];
  }
  const failure = error instanceof Error ? error : new Error(String(error));
  const known = failure instanceof OutputError || "syscall" in failure; // the user's files and streams, not a fault of ours
  process.stderr.write(`quipu: ${known ? failure.message : (failure.stack ?? failure.message)}\n`);
  return 1;
}
