import { statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { makeFolder } from "#quipu/machine/make-folder.js";
import { temporaryFolder } from "../../checkpoint-writer.js";

const temporary = temporaryFolder();

test("makes a folder and those above it, and leaves one that is there", () => {
  const path = join(temporary, "a/b/c");
  for (let i = 0; i < 2; i++) {
    makeFolder(path);
    expect(statSync(path).isDirectory()).toBe(true);
  }
});

test("says what the system says where there can be none", () => {
  // mkdirSync's own `recursive` never returns from here.
  expect(() => makeFolder("/proc/quipu/a/b")).toThrow("ENOENT");
  writeFileSync(join(temporary, "file"), "");
  expect(() => makeFolder(join(temporary, "file"))).toThrow("EEXIST");
  expect(() => makeFolder(join(temporary, "file/below"))).toThrow("ENOTDIR");
});
