// The last-level caches, from the files of the kernel.
import { lastLevelCacheBytes } from "#quipu/machine/caches.js";

/** Caches as [processors that list it, level, type, size, shared by]. */
function filesOf(caches: readonly (readonly [cpus: number[], level: number, type: string, size: string])[]) {
  const files = new Map<string, string>();
  for (const [cpus, level, type, size] of caches) {
    for (const cpu of cpus) {
      const index = [...files.keys()].filter((path) => path.includes(`/cpu${cpu}/`) && path.endsWith("/level")).length;
      const folder = `/sys/devices/system/cpu/cpu${cpu}/cache/index${index}`;
      files.set(`${folder}/level`, `${level}\n`);
      files.set(`${folder}/type`, `${type}\n`);
      files.set(`${folder}/size`, `${size}\n`);
      files.set(`${folder}/shared_cpu_list`, `${cpus.join(",")}\n`);
    }
  }
  return {
    read: (path: string) => files.get(path) ?? "",
    list: (path: string) => [
      ...new Set(
        [...files.keys(), `${path}/uevent`]
          .filter((file) => file.startsWith(`${path}/`))
          .map((file) => file.slice(path.length + 1).split("/")[0]!),
      ),
    ],
  };
}

test.each([
  ["one that all processors share", [[[0, 1], 3, "Unified", "32768K"]], 32 * 2 ** 20],
  [
    "one a group of processors",
    [
      [[0, 1], 3, "Unified", "16M"],
      [[2, 3], 3, "Unified", "32M"],
    ],
    48 * 2 ** 20,
  ],
  [
    "the last of several levels, data alone",
    [
      [[0], 1, "Data", "48K"],
      [[0], 1, "Instruction", "64K"],
    ],
    48 * 2 ** 10,
  ],
  [
    "a level 2 where there is no third",
    [
      [[0], 1, "Data", "32K"],
      [[0], 2, "Unified", "512K"],
    ],
    2 ** 19,
  ],
] as [string, [number[], number, string, string][], number][])("%s", (_, caches, bytes) => {
  expect(lastLevelCacheBytes(filesOf(caches))).toBe(bytes);
});

test("none where the system does not tell", () => {
  expect(lastLevelCacheBytes(filesOf([]))).toBeUndefined();
  expect(lastLevelCacheBytes(filesOf([[[0], 3, "Unified", ""]]))).toBeUndefined();
});

test("this machine's is whole kilobytes, or not told", () => {
  expect((lastLevelCacheBytes() ?? 1024) % 1024).toBe(0);
});
