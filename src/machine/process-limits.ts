// What the system gives this process: processors by affinity and by the quota of its cgroup, memory by the cgroup's limit.
// A cgroup's limits bind with those of all cgroups around it; which files tell them is found as the kernel documents it
// (cgroups(7), proc_pid_mountinfo(5)): version 1, version 2 or both, with or without a cgroup namespace.
import { readFileSync } from "node:fs";
import { freemem } from "node:os";
import { join } from "node:path";
import { callNative } from "../addon/addon.js";

/** The contents of a file; empty where it cannot be read. */
export type ReadFile = (path: string) => string;

const read: ReadFile = (path) => {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
};

/** Threads that can run at once: the affinity of this process, cut to the CPU quota of its cgroups. At least 1. */
export function availableThreads(): number {
  const processors = callNative((addon) => addon.processors());
  return Math.max(1, Math.min(processors, Math.ceil(processorQuota(read))));
}

/** The threads to use: as many as were asked for, by default and at most those that can run at once. */
export function threadsFor(asked: number | undefined): number {
  const processors = availableThreads();
  return Math.min(asked ?? processors, processors);
}

/** Bytes that this process can still take: what the system can give, within the limits of its cgroups and its own. */
export function availableMemory(): number {
  // On Linux freemem() is what can be made available, page cache included.
  return Math.min(freemem(), memoryQuota(read), addressSpaceLeft(read));
}

/** Bytes that this process can still map, files included. */
export function availableAddressSpace(): number {
  return addressSpaceLeft(read);
}

/**
 * The most bytes that were resident in this process at once. Not getrusage's maxrss where the kernel tells better: that is never less
 * than what the process had that started this one.
 */
export function peakMemory(): number {
  const [, kilobytes] = /^VmHWM:\s+(\d+) kB$/m.exec(read("/proc/self/status")) ?? [];
  return 1024 * (kilobytes === undefined ? process.resourceUsage().maxRSS : Number(kilobytes));
}

/** Processors that the CPU quota of the cgroups of this process comes to, 1.5 for 150 ms in 100; Infinity where there is none. */
export function processorQuota(read: ReadFile): number {
  const quotas = foldersOf("cpu", read).map(({ folder, version }) => {
    const [quota, period] =
      version === 2
        ? read(join(folder, "cpu.max")).split(" ")
        : [read(join(folder, "cpu.cfs_quota_us")), read(join(folder, "cpu.cfs_period_us"))];
    const processors = numberIn(quota) / numberIn(period);
    return processors > 0 ? processors : Number.POSITIVE_INFINITY; // "max", −1 and no file are no quota
  });
  return Math.min(...quotas, Number.POSITIVE_INFINITY);
}

/**
 * Bytes that the memory limits of the cgroups of this process leave; Infinity where there is none. A cgroup is charged for
 * the page cache of the files that it has read, but gets it back before it is out of memory.
 */
export function memoryQuota(read: ReadFile): number {
  const left = foldersOf("memory", read).map(({ folder, version }) => {
    const [limit, usage] =
      version === 2 ? ["memory.max", "memory.current"] : ["memory.limit_in_bytes", "memory.usage_in_bytes"];
    const most = numberIn(read(join(folder, limit)));
    if (Number.isNaN(most)) return Number.POSITIVE_INFINITY;
    const used = numberIn(read(join(folder, usage))) || 0;
    return Math.max(0, most - used + fileCacheBytes(read(join(folder, "memory.stat"))));
  });
  return Math.min(...left, Number.POSITIVE_INFINITY);
}

/**
 * Bytes that the limits of this process leave (setrlimit(2), `ulimit -v` and `ulimit -d`): what it maps, touched or not, counts against them;
 * Infinity where there is none.
 */
export function addressSpaceLeft(read: ReadFile): number {
  const [limits, status] = [read("/proc/self/limits"), read("/proc/self/status")];
  const left = (limit: string, use: string) => {
    const [, most] = new RegExp(`^${limit} +(\\d+) `, "m").exec(limits) ?? [];
    const [, kilobytes] = new RegExp(`^${use}:\\s+(\\d+) kB$`, "m").exec(status) ?? [];
    return most === undefined || kilobytes === undefined
      ? Number.POSITIVE_INFINITY
      : Math.max(0, Number(most) - 1024 * Number(kilobytes));
  };
  return Math.min(left("Max address space", "VmSize"), left("Max data size", "VmData"));
}

/** Bytes of page cache in a cgroup's memory.stat, those of the cgroups in it included (version 1 says so by "total_"). */
function fileCacheBytes(memoryStat: string): number {
  const sum = (pattern: RegExp) =>
    [...memoryStat.matchAll(pattern)].reduce((total, [, bytes]) => total + Number(bytes), 0);
  return sum(/^total_(?:active|inactive)_file (\d+)$/gm) || sum(/^(?:active|inactive)_file (\d+)$/gm);
}

interface Folder {
  readonly folder: string;
  readonly version: 1 | 2;
}

/** The folders of the cgroups that limit this process by a controller: its own and those around it, as far as they are mounted. */
function foldersOf(controller: "cpu" | "memory", read: ReadFile): Folder[] {
  const mounts = read("/proc/self/mountinfo").split("\n").map(mountOf);
  return read("/proc/self/cgroup")
    .split("\n")
    .flatMap((line) => {
      const [, hierarchy, controllers, path] = /^(\d+):([^:]*):(\/.*)$/.exec(line) ?? [];
      if (path === undefined) return [];
      const version = hierarchy === "0" ? 2 : 1;
      if (version === 1 && !controllers!.split(",").includes(controller)) return [];
      const fits = (mount: Mount | undefined): mount is Mount =>
        mount !== undefined &&
        (version === 2 ? mount.type === "cgroup2" : mount.type === "cgroup" && mount.options.includes(controller));
      // Of several mounts the one that shows the most of what is around this cgroup.
      const within = mounts.filter(fits).filter(({ root }) => isWithin(path, root));
      const mount = within.sort((a, b) => a.root.length - b.root.length)[0] ?? mounts.find(fits);
      return mount === undefined ? [] : upwards(mount, path).map((folder): Folder => ({ folder, version }));
    });
}

/** The folder of a cgroup and those above it. One outside what is mounted shows as the mount's own: a container's. */
function upwards({ root, point }: Mount, path: string): string[] {
  const names = isWithin(path, root) ? path.slice(root === "/" ? 0 : root.length).split("/") : [];
  const inner = names.filter((name) => name !== "");
  return Array.from({ length: inner.length + 1 }, (_, i) => join(point, ...inner.slice(0, inner.length - i)));
}

function isWithin(path: string, root: string): boolean {
  return !path.split("/").includes("..") && (root === "/" || path === root || path.startsWith(`${root}/`));
}

interface Mount {
  /** The cgroup that is mounted, and where. */
  readonly root: string;
  readonly point: string;
  readonly type: string;
  readonly options: readonly string[];
}

/** A line of mountinfo: id, parent, device, root, point, options, optional fields, "-", type, source, options of the file system. */
function mountOf(line: string): Mount | undefined {
  const [before, after] = line.split(" - ");
  const [, , , root, point] = before?.split(" ") ?? [];
  const [type, , options] = after?.split(" ") ?? [];
  if (root === undefined || point === undefined || type === undefined) return undefined;
  return { root: unescaped(root), point: unescaped(point), type, options: options?.split(",") ?? [] };
}

/** Spaces and the like in mountinfo are \ and three octal digits. */
function unescaped(path: string): string {
  return path.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}

/** The whole number that a file says; NaN for "max", for nothing and for none. */
function numberIn(text: string | undefined): number {
  return /^-?\d+$/.test(text?.trim() ?? "") ? Number(text) : Number.NaN;
}
