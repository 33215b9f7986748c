// What the measurements share: medians, child processes, Markdown.
import { spawn, spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { cpus } from "node:os";
import { fileURLToPath } from "node:url";

export const ROOT = fileURLToPath(new URL("..", import.meta.url));

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** The median and its 95 % interval, from the binomial distribution of how many of n values lie below the median. */
export function interval(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const n = sorted.length;
  const rank = Math.max(0, Math.floor((n - 1.96 * Math.sqrt(n)) / 2) - 1);
  return [median(sorted), sorted[rank], sorted[n - 1 - rank]];
}

/** Milliseconds that all processors have worked, for the host of this machine too; Linux counts them by ten. */
function busyMs() {
  const [user, nice, system, , , irq, softirq, steal] = readFileSync("/proc/stat", "utf8")
    .split(/\s+/)
    .slice(1)
    .map(Number);
  return 10 * (user + nice + system + irq + softirq + steal);
}

/** A function that says what part of the processors others than this process have used since now. Only Linux knows. */
export function othersFromNow() {
  const [start, busy, own] = [performance.now(), busyMs(), process.cpuUsage()];
  return () => {
    const { user, system } = process.cpuUsage(own);
    return (busyMs() - busy - (user + system) / 1000) / ((performance.now() - start) * cpus().length);
  };
}

/** Runs a command to its end; returns stdout, or throws with what it said. */
export function output(command, args, env = {}) {
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    cwd: ROOT,
    encoding: "utf8",
    maxBuffer: 2 ** 28,
    env: { ...process.env, ...env },
  });
  if (status !== 0) throw new Error(`${command} ${args.join(" ")}: ${error?.message ?? stderr}`);
  return stdout;
}

/** Milliseconds until the process `node …args` writes its first byte, and until it ends. */
export function times(args, env = {}) {
  return new Promise((resolve, reject) => {
    const start = performance.now();
    let first;
    const child = spawn(process.execPath, args, {
      cwd: ROOT,
      env: { ...process.env, ...env },
      stdio: ["ignore", "pipe", "inherit"],
    });
    child.stdout.on("data", () => {
      first ??= performance.now() - start;
    });
    child.on("error", reject);
    child.on("close", (status) => {
      if (status !== 0) reject(new Error(`node ${args.join(" ")}: exit status ${status}`));
      else resolve({ first, end: performance.now() - start });
    });
  });
}

export function markdown(header, rows) {
  const line = (cells) => `| ${cells.join(" | ")} |\n`;
  return line(header) + line(header.map((_, i) => (i === 0 ? "---" : "---:"))) + rows.map(line).join("");
}
