// Before all tests: what they load is kept in a cache folder of theirs, empty at first, and not in the user's.
import { rmSync } from "node:fs";
import { join } from "node:path";

// biome-ignore lint/style/noDefaultExport: jest asks for one
export default function useOwnCacheFolder(): void {
  const folder = join(process.cwd(), "build", "test-cache");
  rmSync(folder, { recursive: true, force: true });
  process.env.QUIPU_CACHE = folder;
}
