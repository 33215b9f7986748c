// Fetching a model with progress on stderr, and offering it where a model is named that is not here.
import { createInterface } from "node:readline/promises";
import { isQuipuError } from "../errors.js";
import { modelFolder, type PullPlan, type PullResult, pullModel, wholeModelFolder } from "../index.js";
import type { Context } from "./context.js";
import { ProgressBars } from "./terminal/bars.js";
import { formatBytes } from "./terminal/tables.js";

export interface FetchOptions {
  readonly include?: readonly string[] | undefined;
  readonly verify?: boolean | undefined;
  readonly quiet?: boolean | undefined;
}

/** What is read of a model where only text and ids are wanted. */
const TOKENIZER_FILES = ["*.json", "*.jinja", "*.model", "*.tiktoken", "*.txt"];

/** @param confirm whether to go on. @throws {QuipuError} as {@link pullModel} does. */
export async function fetchModel(
  repo: string,
  { include, verify, quiet = false }: FetchOptions,
  { signal }: Pick<Context, "signal">,
  confirm: (plan: PullPlan) => boolean | Promise<boolean> = () => true,
): Promise<PullResult> {
  const bars = new ProgressBars({ quiet });
  const say = (line: string) => {
    if (!quiet) bars.print(`quipu: ${line}`);
  };
  let isBegun = false;
  try {
    const result = await pullModel(repo, {
      ...{ include, verify, signal },
      confirm: async (plan) => {
        isBegun = await confirm(plan);
        if (isBegun) say(`fetching ${describePlan(plan)} from ${plan.endpoint}`);
        return isBegun;
      },
      onProgress: (progress) => bars.update(progress),
      onNotice: say,
    });
    bars.erase();
    if (isBegun) say(`${result.repo}: ${formatBytes(result.fetchedBytes)} fetched and verified`);
    return result;
  } catch (error) {
    bars.erase();
    if (isBegun && isQuipuError(error) && error.code === "ERR_ABORTED") {
      say("what has been fetched is kept: the same command goes on with it");
    }
    throw error;
  }
}

/**
 * Sees to it that a model is here before anything else is asked for: on a terminal, one that is not in the hub's cache is offered.
 *
 * @param only "tokenizer" where no weights are wanted.
 * @throws {QuipuError} as {@link modelFolder} does, and {@link pullModel} where it was wanted.
 */
export async function ensureModel(
  model: string | undefined,
  { quiet = false }: { quiet?: boolean | undefined },
  context: Pick<Context, "signal">,
  only?: "tokenizer",
): Promise<void> {
  try {
    if (only === "tokenizer") modelFolder(model);
    else wholeModelFolder(model);
  } catch (error) {
    const canAsk = process.stdin.isTTY === true && process.stderr.isTTY === true && !quiet;
    if (!isQuipuError(error) || error.repo === undefined || !canAsk) throw error;
    process.stderr.write(`quipu: ${error.repo} is not here, or not all of it.\n`);
    let isRefused = false;
    const confirm = async (plan: PullPlan) => {
      isRefused = !(await ask(`Fetch ${describePlan(plan)} from ${plan.endpoint}? [Y/n] `, context.signal));
      return !isRefused;
    };
    const include = only === "tokenizer" ? TOKENIZER_FILES : undefined;
    await fetchModel(error.repo, { include }, context, confirm).catch((failure: unknown) => {
      throw isRefused ? error : failure;
    });
  }
}

/** "12 files, 9.1 GiB of org/name". */
function describePlan({ repo, files, bytesToFetch, bytes }: PullPlan): string {
  const size = bytesToFetch === bytes ? formatBytes(bytes) : `${formatBytes(bytesToFetch)} of ${formatBytes(bytes)}`;
  return `${repo}: ${files} ${files === 1 ? "file" : "files"}, ${size}`;
}

/** On the terminal; nothing typed is yes, as is y. Ctrl-C is a signal, as everywhere. */
async function ask(question: string, signal: AbortSignal): Promise<boolean> {
  const lines = createInterface({ input: process.stdin, output: process.stderr, terminal: false });
  try {
    const ended = new Promise<string>((resolve) => lines.once("close", () => resolve("n")));
    const answer = await Promise.race([lines.question(question, { signal }), ended]);
    return /^\s*(y|yes)?\s*$/i.test(answer);
  } catch (error) {
    if (signal.aborted) return false;
    throw error;
  } finally {
    lines.close();
  }
}
