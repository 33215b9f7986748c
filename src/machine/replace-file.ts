// Files that appear whole or not at all.
import { access, open, rename, rm } from "node:fs/promises";
import { QuipuError } from "../errors.js";

/** Writes `text` under another name and renames it, so that no reader sees half of it. */
export async function replaceFile(path: string, text: string): Promise<void> {
  const part = `${path}.${process.pid}.part`;
  try {
    const file = await open(part, "w");
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(part, path);
  } catch (error) {
    await rm(part, { force: true });
    throw error;
  }
}

/** @throws {QuipuError} ERR_USAGE where one of the files is there already. */
export async function refuseExisting(paths: readonly string[]): Promise<void> {
  for (const path of paths) {
    const exists = await access(path).then(
      () => true,
      () => false,
    );
    if (exists) {
      throw new QuipuError("ERR_USAGE", `${path}: is there already: overwrite it, or name another place`, {
        option: "force",
      });
    }
  }
}
