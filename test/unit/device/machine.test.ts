import { availableMemory, fileCacheBytes } from "#quipu/device/machine.js";

test("the page cache of a cgroup counts as available", () => {
  expect(fileCacheBytes("anon 5\nfile 100\ninactive_anon 7\nactive_file 30\ninactive_file 60\nslab 1\n")).toBe(90);
  expect(fileCacheBytes("")).toBe(0);
  expect(availableMemory()).toBeGreaterThan(0);
});
