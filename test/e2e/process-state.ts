// What a process is doing, as /proc tells it: tests wait for that, and not for a time that was enough on one machine.
import type { ChildProcess } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";

/** Milliseconds of a tick in /proc, the same on every Linux. */
const TICK = 10;

/** Milliseconds of processor time that all its threads have had. */
export function processorTime(child: ChildProcess): number {
  return ticksOf(`/proc/${child.pid}/stat`) * TICK;
}

/** Resolves when the process has read so many bytes, of whatever. */
export function hasRead(child: ChildProcess, bytes: number): Promise<void> {
  return until(
    child,
    () => Number(/^rchar: (\d+)$/m.exec(readFileSync(`/proc/${child.pid}/io`, "utf8"))?.[1]) >= bytes,
  );
}

/** Resolves when it has worked for so many milliseconds from now on, however long others kept it from that. */
export function hasWorked(child: ChildProcess, milliseconds: number): Promise<void> {
  const before = processorTime(child);
  return until(child, () => processorTime(child) - before >= milliseconds);
}

/** Resolves when a thread beside the main one has worked for so many milliseconds: the kernels run. */
export function hasComputed(child: ChildProcess, milliseconds: number): Promise<void> {
  return until(child, () => tasksOf(child).some((task) => ticksOf(`${task}/stat`) * TICK >= milliseconds));
}

/** Resolves when the process can do nothing until somebody outside does: all its threads sleep, and none wakes any more. */
export function isAsleep(child: ChildProcess): Promise<void> {
  let before = "";
  let same = 0;
  return until(child, () => {
    const tasks = [`/proc/${child.pid}`, ...tasksOf(child)].map((task) => readFileSync(`${task}/status`, "utf8"));
    const now = tasks
      .join()
      .match(/^(?:Pid|voluntary_ctxt_switches):.*$/gm)!
      .join();
    const sleep = tasks.every((status) => /^State:\tS/m.test(status));
    same = sleep && now === before ? same + 1 : 0;
    before = now;
    return same === 3;
  });
}

async function until(child: ChildProcess, reached: () => boolean): Promise<void> {
  for (;;) {
    if (child.exitCode !== null || child.signalCode !== null) throw new Error("the process has ended");
    try {
      if (reached()) return;
    } catch (error) {
      // A thread may end between its listing and its reading.
      if (!["ENOENT", "ESRCH"].includes((error as NodeJS.ErrnoException).code ?? "")) throw error;
    }
    await pause(10);
  }
}

/** Its threads but the main one. */
function tasksOf({ pid }: ChildProcess): string[] {
  const ids = readdirSync(`/proc/${pid}/task`).filter((id) => id !== String(pid));
  return ids.map((id) => `/proc/${pid}/task/${id}`);
}

function ticksOf(stat: string): number {
  const fields = readFileSync(stat, "utf8").split(") ").at(-1)!.split(" "); // a name may hold blanks
  return Number(fields[11]) + Number(fields[12]);
}
