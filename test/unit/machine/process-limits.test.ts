// What cgroups give a process, from the files that the kernel shows, as they were found in containers and services.
import { spawnSync } from "node:child_process";
import {
  addressSpaceLeft,
  availableMemory,
  availableThreads,
  memoryQuota,
  processorQuota,
} from "#quipu/machine/process-limits.js";

type Files = Readonly<Record<string, string>>;
const reading = (files: Files) => (path: string) => files[path] ?? "";
const processors = (files: Files) => processorQuota(reading(files));
const memory = (files: Files) => memoryQuota(reading(files));

/** Lines of mountinfo around the one that counts, as every machine has them. */
const mounts = (...lines: string[]) =>
  [
    "22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/root rw",
    "23 22 0:21 / /proc rw - proc proc rw",
    ...lines,
    "",
  ].join("\n");
const V2 = "31 23 0:27 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot";

/** A service of systemd with CPUQuota=150% and MemoryMax=1G, in a slice that has less memory. */
const SYSTEMD: Files = {
  "/proc/self/cgroup": "0::/work.slice/work-batch.slice/job.service\n",
  "/proc/self/mountinfo": mounts(V2),
  "/sys/fs/cgroup/cpu.stat": "usage_usec 1\n", // the root has no cpu.max
  "/sys/fs/cgroup/work.slice/cpu.max": "max 100000\n",
  "/sys/fs/cgroup/work.slice/work-batch.slice/cpu.max": "400000 100000\n",
  "/sys/fs/cgroup/work.slice/work-batch.slice/job.service/cpu.max": "150000 100000\n",
  "/sys/fs/cgroup/work.slice/memory.max": "536870912\n",
  "/sys/fs/cgroup/work.slice/memory.current": "436870912\n",
  "/sys/fs/cgroup/work.slice/memory.stat": "anon 1\nfile 90000000\ninactive_anon 7\nactive_file 30\ninactive_file 60\n",
  "/sys/fs/cgroup/work.slice/work-batch.slice/job.service/memory.max": "1073741824\n",
  "/sys/fs/cgroup/work.slice/work-batch.slice/job.service/memory.current": "73741824\n",
};

/** docker run --cpus 2 --memory 512m with a cgroup namespace: the container's own cgroup is its root. */
const DOCKER_V2: Files = {
  "/proc/self/cgroup": "0::/\n",
  "/proc/self/mountinfo": mounts(
    "1093 1092 0:28 / /sys/fs/cgroup ro,nosuid,nodev,noexec,relatime - cgroup2 cgroup rw,nsdelegate",
  ),
  "/sys/fs/cgroup/cpu.max": "200000 100000\n",
  "/sys/fs/cgroup/memory.max": "536870912\n",
  "/sys/fs/cgroup/memory.current": "36870912\n",
};

/** The same without one, on version 1: paths are the host's, the mount shows the container's part. */
const ID = "5f0d9a1c0b7a";
const DOCKER_V1: Files = {
  "/proc/self/cgroup": `12:pids:/docker/${ID}\n7:cpu,cpuacct:/docker/${ID}\n4:memory:/docker/${ID}\n1:name=systemd:/docker/${ID}\n`,
  "/proc/self/mountinfo": mounts(
    `620 619 0:30 /docker/${ID} /sys/fs/cgroup/systemd ro master:11 - cgroup cgroup rw,xattr,name=systemd`,
    `623 619 0:33 /docker/${ID} /sys/fs/cgroup/cpu,cpuacct ro master:16 - cgroup cgroup rw,cpu,cpuacct`,
    `626 619 0:36 /docker/${ID} /sys/fs/cgroup/memory ro master:19 - cgroup cgroup rw,memory`,
  ),
  "/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "50000\n",
  "/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
  "/sys/fs/cgroup/memory/memory.limit_in_bytes": "268435456\n",
  "/sys/fs/cgroup/memory/memory.usage_in_bytes": "200000000\n",
  "/sys/fs/cgroup/memory/memory.stat": "inactive_file 5\ntotal_inactive_file 1000\ntotal_active_file 500\n",
};

/** Rootless podman: a scope of the user's slice, on a mount that has a space in its name. */
const PODMAN: Files = {
  "/proc/self/cgroup": "0::/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-1a.scope/container\n",
  "/proc/self/mountinfo": mounts("31 23 0:27 / /mnt/c\\040groups rw shared:9 - cgroup2 cgroup2 rw"),
  "/mnt/c groups/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-1a.scope/cpu.max": "300000 100000\n",
  "/mnt/c groups/user.slice/user-1000.slice/cpu.max": "250000 50000\n",
};

/** Both versions at once: controllers on version 1, processes also in version 2 (systemd's hybrid, and this project's CI). */
const HYBRID: Files = {
  "/proc/self/cgroup": "9:name=systemd:/\n4:memory:/process_api/cf\n2:cpuacct:/\n1:cpu:/jobs/a\n0::/\n",
  "/proc/self/mountinfo": mounts(
    "32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu",
    "33 31 0:30 / /sys/fs/cgroup/cpuacct rw,relatime - cgroup cgroup rw,cpuacct",
    "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory",
    "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw",
  ),
  "/sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
  "/sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
  "/sys/fs/cgroup/cpu/jobs/cpu.cfs_quota_us": "800000\n",
  "/sys/fs/cgroup/cpu/jobs/cpu.cfs_period_us": "100000\n",
  "/sys/fs/cgroup/cpu/jobs/a/cpu.cfs_quota_us": "-1\n",
  "/sys/fs/cgroup/cpu/jobs/a/cpu.cfs_period_us": "100000\n",
  "/sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
  "/sys/fs/cgroup/memory/memory.usage_in_bytes": "1000\n",
  "/sys/fs/cgroup/memory/process_api/cf/memory.limit_in_bytes": "1000000\n",
  "/sys/fs/cgroup/memory/process_api/cf/memory.usage_in_bytes": "250000\n",
};

test.each<[string, Files, number, number]>([
  ["a service of systemd, below slices", SYSTEMD, 1.5, 536870912 - 436870912 + 90],
  ["docker, version 2", DOCKER_V2, 2, 500000000],
  ["docker, version 1", DOCKER_V1, 0.5, 68435456 + 1500],
  ["podman, rootless", PODMAN, 3, Number.POSITIVE_INFINITY],
  ["both versions", HYBRID, 8, 750000],
  ["no cgroups", {}, Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY],
  [
    "cgroups that are not mounted",
    { "/proc/self/cgroup": "0::/a\n3:cpu,memory:/a\n" },
    Number.POSITIVE_INFINITY,
    Number.POSITIVE_INFINITY,
  ],
])("%s", (_, files, quota, left) => {
  expect(processors(files)).toBe(quota);
  expect(memory(files)).toBe(left);
});

test("a cgroup outside what is mounted counts as the mount's own", () => {
  for (const path of ["/../other", "/elsewhere/b"]) {
    const files = { ...DOCKER_V1, "/proc/self/cgroup": `7:cpu,cpuacct:${path}\n` };
    expect(processors(files)).toBe(0.5);
  }
});

test("a mount of the cgroup's own part does not hide those around it, which another mount shows", () => {
  const part = "40 23 0:27 /work.slice/work-batch.slice /mnt/part rw - cgroup2 cgroup2 rw";
  const files = {
    ...SYSTEMD,
    "/sys/fs/cgroup/work.slice/cpu.max": "100000 100000\n",
    "/mnt/part/job.service/cpu.max": "150000 100000\n",
  };
  for (const lines of [mounts(part, V2), mounts(V2, part)]) {
    expect(processors({ ...files, "/proc/self/mountinfo": lines })).toBe(1);
  }
});

test("the limit that binds is the smallest, wherever it is", () => {
  const outer = { ...SYSTEMD, "/sys/fs/cgroup/work.slice/cpu.max": "100000 100000\n" };
  expect(processors(outer)).toBe(1);
});

test("what is used beyond a limit leaves nothing", () => {
  expect(memory({ ...DOCKER_V2, "/sys/fs/cgroup/memory.current": "636870912\n" })).toBe(0);
});

test("files that make no sense are no limit", () => {
  expect(processors({ ...DOCKER_V2, "/sys/fs/cgroup/cpu.max": "200000\n" })).toBe(Number.POSITIVE_INFINITY);
  expect(processors({ ...DOCKER_V2, "/sys/fs/cgroup/cpu.max": "0 0\n" })).toBe(Number.POSITIVE_INFINITY);
  expect(memory({ ...DOCKER_V2, "/sys/fs/cgroup/memory.max": "x\n" })).toBe(Number.POSITIVE_INFINITY);
});

describe("address space", () => {
  const limits = (space: string, data: string) =>
    `Limit                     Soft Limit           Hard Limit           Units     \n` +
    `Max data size             ${data.padEnd(21)}unlimited            bytes     \n` +
    `Max address space         ${space.padEnd(21)}unlimited            bytes     \n`;
  const left = (space: string, data: string) =>
    addressSpaceLeft(
      reading({
        "/proc/self/limits": limits(space, data),
        "/proc/self/status": "Name:\tnode\nVmPeak:\t  900 kB\nVmSize:\t  700 kB\nVmData:\t  100 kB\n",
      }),
    );

  test("is what the limit of the process leaves of what it maps", () => {
    expect(left("unlimited", "unlimited")).toBe(Number.POSITIVE_INFINITY);
    expect(left("1024000", "unlimited")).toBe(300 * 1024);
    expect(left("1024000", "204800")).toBe(100 * 1024);
    expect(left("1024", "unlimited")).toBe(0);
    expect(addressSpaceLeft(() => "")).toBe(Number.POSITIVE_INFINITY);
  });
});

test("this process has something", () => {
  expect(availableThreads()).toBeGreaterThanOrEqual(1);
  expect(availableMemory()).toBeGreaterThan(0);
});

test("the peak of memory is this process's own, however large the one was that started it", () => {
  const child = `const { peakMemory } = await import(${JSON.stringify(`${process.cwd()}/dist/machine/process-limits.js`)});
    const before = peakMemory();
    const held = Buffer.alloc(100e6, 1);
    console.log(JSON.stringify([before, peakMemory() - before, held[0]]));`;
  const parent = `const held = Buffer.alloc(700e6, 1);
    const { spawnSync } = await import("node:child_process");
    const { stdout } = spawnSync(process.execPath, ["--input-type=module", "-e", ${JSON.stringify(child)}]);
    process.stdout.write(stdout);
    if (held[0] !== 1) process.exit(1);`;
  const { stdout } = spawnSync(process.execPath, ["--input-type=module", "-e", parent], { encoding: "utf8" });
  const [before, grown] = JSON.parse(stdout) as number[];
  expect(before).toBeLessThan(500e6);
  expect(grown).toBeGreaterThan(90e6);
});
