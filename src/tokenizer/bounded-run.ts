// Work that may not terminate and cannot be cancelled: V8 has no limit for the steps of a regular expression, and while it runs no
// signal is heard. Under node:vm's watch it ends after its time, and at Ctrl-C.
import { createContext, Script } from "node:vm";
import { QuipuError } from "../errors.js";

/** Of one call: some hundred million steps, where Oniguruma gives up after ten million. */
const MOST_SECONDS = 1;

const context: { work?: (() => unknown) | undefined } = {};
let script: Script | undefined;

/**
 * Runs `work`, for which a thread of its own watches: about 0.1 ms. What it has begun when it is ended is begun anew where the
 * process was not given its time (a busy machine, a process that was stopped), so nothing may stay of it.
 *
 * @returns undefined where it took too long.
 * @throws {QuipuError} ERR_ABORTED at Ctrl-C, of which listeners of the process are told afterwards.
 */
export function runBounded<T extends object>(work: () => T): T | undefined {
  if (script === undefined) {
    createContext(context);
    script = new Script("work()");
  }
  const start = process.cpuUsage();
  for (;;) {
    context.work = work;
    try {
      return script.runInContext(context, { timeout: MOST_SECONDS * 1000, breakOnSigint: true });
    } catch (cause) {
      const code = (cause as NodeJS.ErrnoException).code;
      if (code === "ERR_SCRIPT_EXECUTION_INTERRUPTED") {
        process.kill(process.pid, "SIGINT");
        throw new QuipuError("ERR_ABORTED", "encoding was interrupted", { cause });
      }
      if (code !== "ERR_SCRIPT_EXECUTION_TIMEOUT") throw cause;
      if (process.cpuUsage(start).user >= MOST_SECONDS * 500_000) return undefined;
    } finally {
      context.work = undefined;
    }
  }
}
