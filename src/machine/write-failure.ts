// What keeps a file from being written, and what to do about it.
import { QuipuError } from "../errors.js";

/** @returns ERR_WRITE, of an error of the system's. */
export function writeFailure(path: string, cause: unknown): QuipuError {
  const { code = "", message } = cause as NodeJS.ErrnoException;
  const why = ["ENOSPC", "EDQUOT"].includes(code)
    ? `the disk is full: ${message}. Free some space, or name a place on another disk.`
    : `cannot be written: ${message}. Name a place that can be written.`;
  return new QuipuError("ERR_WRITE", `${path}: ${why}`, { cause });
}
