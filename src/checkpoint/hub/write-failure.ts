// What keeps a pull from writing, and what to do about it.
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
  const advice = "HF_HUB_CACHE names another folder for the cache";
  const full = ["ENOSPC", "EDQUOT"].includes(code);
  const why = full
    ? `the disk is full (${message}). What has been fetched is kept; free some space, or`
    : `cannot be written: ${message}.`;
  return new QuipuError("ERR_PULL", `${path}: ${why} ${full ? `set HF_HUB_CACHE: ${advice}` : advice}.`, { cause });
}
