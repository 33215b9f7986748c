// Whether a disk has room for what is to be fetched.
import { existsSync, statfsSync } from "node:fs";
import { dirname } from "node:path";
import { QuipuError } from "../../errors.js";
import { writeFailure } from "./write-failure.js";

/** @throws {QuipuError} ERR_PULL where the disk of `folder`, which need not be there yet, has less than `bytes` free. */
export function checkSpace(folder: string, bytes: number): void {
  let there = folder;
  while (!existsSync(there) && dirname(there) !== there) there = dirname(there);
  let free: number;
  try {
    const { bavail, bsize } = statfsSync(there);
    free = bavail * bsize;
  } catch (cause) {
    throw writeFailure(there, cause);
  }
  if (bytes <= free) return;
  throw new QuipuError(
    "ERR_PULL",
    `${there}: ${binary(bytes)} are to be fetched, and its disk has ${binary(free)} free. Free some space, or set HF_HUB_CACHE to a folder on another disk.`,
  );
}

function binary(bytes: number): string {
  return bytes < 2 ** 30 ? `${(bytes / 2 ** 20).toFixed(1)} MiB` : `${(bytes / 2 ** 30).toFixed(1)} GiB`;
}
