// The last caches before the memory, as the Linux kernel shows them (Documentation/ABI/testing/sysfs-devices-system-cpu).
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** The contents of a file, and the names in a folder; nothing where they cannot be read. */
export interface Files {
  read(path: string): string;
  list(path: string): readonly string[];
}

const system: Files = {
  read: (path) => orElse(() => readFileSync(path, "utf8"), ""),
  list: (path) => orElse(() => readdirSync(path), []),
};

function orElse<T>(read: () => T, otherwise: T): T {
  try {
    return read();
  } catch {
    return otherwise;
  }
}

/** Bytes of all last-level caches of this machine; undefined where the system does not tell. */
export function lastLevelCacheBytes({ read, list }: Files = system): number | undefined {
  const root = "/sys/devices/system/cpu";
  /** Bytes by level and by the processors that share the cache, as each of them lists it. */
  const levels = new Map<number, Map<string, number>>();
  for (const cpu of list(root).filter((name) => /^cpu\d+$/.test(name))) {
    const caches = join(root, cpu, "cache");
    for (const index of list(caches).filter((name) => /^index\d+$/.test(name))) {
      const [level, type, size, sharedBy] = ["level", "type", "size", "shared_cpu_list"].map((name) =>
        read(join(caches, index, name)).trim(),
      );
      const [, digits, unit] = /^(\d+)([KMG]?)$/.exec(size!) ?? [];
      if (digits === undefined || type === "Instruction") continue;
      const bytes = Number(digits) * 1024 ** " KMG".indexOf(unit || " ");
      const shared = levels.get(Number(level)) ?? new Map<string, number>();
      levels.set(Number(level), shared.set(sharedBy!, bytes));
    }
  }
  const last = levels.get(Math.max(...levels.keys()));
  return last === undefined ? undefined : [...last.values()].reduce((sum, bytes) => sum + bytes, 0);
}
