// The lock of a blob: that of huggingface_hub, which waits for ours as we do for its.
import { randomUUID } from "node:crypto";
import { rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { tryLock } from "../../machine/file-lock.js";
import { makeFolder } from "../../machine/make-folder.js";
import { type CachedRepository, namesIn } from "./cache.js";
import type { Clock } from "./clock.js";
import { writeFailure } from "./write-failure.js";

/** Between two looks at a lock that another process has: it says nothing when it goes. */
const LOOK_MS = 200;

export interface HeldLock {
  /** Whether the file system has locks: without, nothing that others may write to at once can be used. */
  readonly isExclusive: boolean;
  release(): void;
}

/**
 * Waits for the lock.
 *
 * @param onWait told once, where another process has it.
 * @throws {QuipuError} ERR_PULL, ERR_ABORTED
 */
export async function takeLock(
  path: string,
  clock: Clock,
  onWait: () => void,
  signal?: AbortSignal,
): Promise<HeldLock> {
  for (let isFirst = true; ; isFirst = false) {
    const lock = tryAt(path);
    if (lock === "unsupported") return { isExclusive: false, release: () => {} };
    if (lock !== "held") return { isExclusive: true, release: lock.release };
    if (isFirst) onWait();
    await clock.sleep(LOOK_MS, signal);
  }
}

function tryAt(path: string): ReturnType<typeof tryLock> {
  try {
    makeFolder(dirname(path));
    return tryLock(path);
  } catch (error) {
    if (!("syscall" in (error as object))) throw error;
    throw writeFailure(path, error);
  }
}

/** Locks of pulls, beside those of blobs. */
const USE = /^pull-.*\.lock$/;

/** Says for as long as the process lives, or until it is removed, that blobs of a repository are in use. */
export interface UseMark {
  remove(): void;
}

/** @throws {QuipuError} ERR_PULL */
export function markUse(repository: CachedRepository): UseMark {
  const path = repository.lock(`pull-${randomUUID()}`);
  const lock = tryAt(path);
  return {
    remove: () => {
      rmSync(path, { force: true }); // whoever removed the cache meanwhile has removed it, too
      if (typeof lock === "object") lock.release();
    },
  };
}

/** Whether some process pulls it now. */
export function isInUse(repository: CachedRepository): boolean {
  const folder = dirname(repository.lock("x"));
  return namesIn(folder).some((name) => USE.test(name) && isHeld(join(folder, name)));
}

/**
 * Runs `action` with the lock of a file at `path`, unless another process has it.
 *
 * @returns whether it ran.
 */
export function withFreeLock(path: string, action: () => void): boolean {
  const lock = tryAt(path);
  if (lock === "held") return false;
  try {
    action();
  } finally {
    if (lock !== "unsupported") lock.release();
  }
  return true;
}

function isHeld(path: string): boolean {
  return !withFreeLock(path, () => {});
}
