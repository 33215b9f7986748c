// What keeps a pull from writing, and a removal from removing, and what to do about it.
import { QuipuError } from "../../errors.js";

/** @throws {QuipuError} ERR_PULL where the system refuses. */
export async function writing<T>(path: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (error) {
    throw writeFailure(path, error);
  }
}

export function writeFailure(path: string, cause: unknown): QuipuError {
  const { code = "", message } = cause as NodeJS.ErrnoException;
  const why = ["ENOSPC", "EDQUOT"].includes(code)
    ? `the disk is full (${message}). What has been fetched is kept; free some space, or set HF_HUB_CACHE to a folder on another disk.`
    : `cannot be written: ${message}. HF_HUB_CACHE names another folder for the cache.`;
  return new QuipuError("ERR_PULL", `${path}: ${why}`, { cause });
}

/** @throws {QuipuError} ERR_PULL where the system refuses. */
export function removing<T>(path: string, action: () => T): T {
  try {
    return action();
  } catch (cause) {
    const { message } = cause as Error;
    throw new QuipuError(
      "ERR_PULL",
      `${path}: cannot be removed: ${message}. Remove it as a user who may write there.`,
      {
        cause,
      },
    );
  }
}
