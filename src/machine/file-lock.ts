// Locks of files between processes: flock(2), as Python's filelock takes it. The system releases them when a process ends.
import { closeSync, constants, fstatSync, openSync, statSync } from "node:fs";
import { callNative } from "../addon/addon.js";

const FLAGS = constants.O_RDWR | constants.O_CREAT;
/** Others of the group may wait for it, too. */
const MODE = 0o664;

export interface FileLock {
  /** Closes the file; it stays, so that whoever waits has the same one. */
  release(): void;
}

/**
 * The lock of the file at `path`, which is made if it is not there, or "held" where another has it (in this process, too), or
 * "unsupported" where the file system has none.
 *
 * @throws {Error} the system's, where the file cannot be opened.
 */
export function tryLock(path: string): FileLock | "held" | "unsupported" {
  for (;;) {
    const fd = openSync(path, FLAGS, MODE);
    let kept = false;
    try {
      const problem = callNative((addon) => addon.tryLock(fd));
      if (problem === "held") return "held";
      if (problem !== "") return "unsupported";
      if (!isAt(path, fd)) continue; // it was removed between the two calls: a lock that nobody else meets
      kept = true;
      return { release: () => closeSync(fd) };
    } finally {
      if (!kept) closeSync(fd);
    }
  }
}

function isAt(path: string, fd: number): boolean {
  const [there, ours] = [statSync(path, { throwIfNoEntry: false }), fstatSync(fd)];
  return there !== undefined && there.dev === ours.dev && there.ino === ours.ino;
}
