// The command line on a pseudo-terminal, through Python's pty.
import { spawn, spawnSync } from "node:child_process";
import { join } from "node:path";
import { CLI, finish, ROOT } from "./run-cli.js";

export interface TerminalResult {
  readonly status: number;
  /** What was shown, with the keys that the terminal echoes and its \r\n. */
  readonly terminal: string;
  /** Of a stream that is not on the terminal; else null. */
  readonly stdout: string | null;
  readonly stderr: string | null;
  /** Milliseconds of processor time from the last step to the end. */
  readonly ms: number;
}

export interface Step {
  readonly after: string;
  /** Keys. */
  readonly send?: string;
  /** An address that is asked for, before the keys. */
  readonly get?: string;
  /** To the process. */
  readonly signal?: number;
  /** How wide the terminal is from now on. */
  readonly columns?: number;
}

export interface TerminalOptions {
  /** The streams on the terminal; default: all. */
  readonly terminal?: readonly ("stdin" | "stdout" | "stderr")[];
  /** What to do, each when a text has appeared. */
  readonly steps?: readonly Step[];
  /** How wide it is at first; default 80. */
  readonly columns?: number;
  /** In place of the command line: a program that starts it. */
  readonly argv?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** Whether pseudo-terminals can be had here. */
export const hasTerminal = spawnSync("python3", ["-c", "import pty"]).status === 0;
export const NO_TERMINAL = "terminals need python3 with its pty module";

export async function quipuOnTerminal(
  args: readonly string[],
  { terminal = ["stdin", "stdout", "stderr"], steps = [], env = {}, columns = 80, argv = [] }: TerminalOptions = {},
): Promise<TerminalResult> {
  const spec = JSON.stringify({ argv: [...argv, process.execPath, CLI, ...args], terminal, steps, columns });
  const script = join(ROOT, "test/e2e/terminal.py");
  const { status, stdout, stderr } = await finish(
    spawn("python3", [script, spec], { env: { ...process.env, ...env } }),
    "",
  );
  if (status !== 0) throw new Error(`terminal.py: ${stderr}`);
  const { stepsLeft, ...result } = JSON.parse(stdout);
  if (stepsLeft > 0) throw new Error(`${stepsLeft} steps never came up; the terminal showed ${result.terminal}`);
  return result;
}
