// A part's process: with a limit of time, killed with all that it has started.
import { spawn } from "node:child_process";
import process from "node:process";
import { ROOT } from "../measure.js";

/**
 * Runs a command for at most so many seconds.
 *
 * @returns {Promise<{status: number | null, stdout: string, stderr: string, late: boolean, missing: boolean}>} `late`: it was ended; `missing`: there
 *   is no such command.
 */
export function runChild(command, args, { seconds, env = {} }) {
  return new Promise((done) => {
    const child = spawn(command, args, {
      ...{ cwd: ROOT, detached: true, stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, ...env } },
    });
    const said = { stdout: "", stderr: "" };
    for (const name of ["stdout", "stderr"]) child[name].setEncoding("utf8").on("data", (text) => (said[name] += text));
    let late = false;
    const kill = (signal) => {
      try {
        process.kill(-child.pid, signal);
      } catch {} // it has ended
    };
    const ends = [
      setTimeout(
        () => {
          late = true;
          kill("SIGTERM");
        },
        Math.max(0, 1000 * seconds),
      ),
      setTimeout(() => kill("SIGKILL"), Math.max(0, 1000 * seconds) + 5000),
    ];
    const finish = (status, missing = false) => {
      for (const timer of ends) clearTimeout(timer);
      done({ status, ...said, late, missing });
    };
    child.on("error", (error) => finish(null, error.code === "ENOENT"));
    child.on("close", (status) => finish(status));
  });
}

/** The rows of JSON that a process has written, a line each; the last may be cut. */
export function rowsOf(stdout) {
  return stdout
    .split("\n")
    .filter((line) => line.startsWith("{") && line.endsWith("}"))
    .map((line) => JSON.parse(line));
}

/** The end of what a process has said. */
export function lastLines(text, count = 8) {
  return text.trimEnd().split("\n").slice(-count).join("\n");
}
