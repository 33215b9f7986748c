// What the tarballs hold: nothing that runs at an install, nothing that only builds, and an addon that works on older systems.
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { temporaryFolder } from "../checkpoint-writer.js";
import { tarballs } from "./packages.js";
import { manifestOf } from "./registry.js";

const { problemsOf } = await import(join(process.cwd(), "scripts", "check-addon.js"));
const dir = temporaryFolder();
const packed = tarballs();
const PLATFORMS = [
  ["linux-x64", "x64"],
  ["linux-arm64", "arm64"],
] as const;

const filesOf = (name: string): string[] =>
  spawnSync("tar", ["-tzf", packed.get(name)!], { encoding: "utf8" })
    .stdout.trim()
    .split("\n")
    .sort();

test("there is one package for all, and one for each platform, of one version", () => {
  expect([...packed.keys()].sort()).toEqual(["@quipu-llm/linux-arm64", "@quipu-llm/linux-x64", "quipu-llm"]);
  const versions = new Set([...packed.values()].map((tarball) => manifestOf(tarball).version));
  expect(versions.size).toBe(1);
});

test("quipu-llm runs no script at an install, and depends on nothing that only builds", () => {
  const { scripts, dependencies, optionalDependencies, version } = manifestOf(packed.get("quipu-llm")!);
  expect(
    Object.keys(scripts as object).filter((name) => /^(?:pre|post)?(?:install|prepare|publish|pack)/.test(name)),
  ).toEqual([]);
  expect(Object.keys(dependencies!).sort()).toEqual(["commander", "js-tiktoken", "undici"]);
  expect(optionalDependencies).toEqual({ "@quipu-llm/linux-x64": version, "@quipu-llm/linux-arm64": version });
  // A binding.gyp has managers run node-gyp where there is no script.
  expect(filesOf("quipu-llm").filter((file) => /\.(?:node|gyp)$/.test(file))).toEqual([]);
});

describe.each(PLATFORMS)("%s", (platform, cpu) => {
  const name = `@quipu-llm/${platform}`;

  test("holds the addon, and is for its platform alone", () => {
    expect(filesOf(name)).toEqual(
      ["LICENSE", "README.md", "package.json", "quipu.node"].map((file) => `package/${file}`),
    );
    const { os, cpu: cpus, libc, scripts, dependencies } = manifestOf(packed.get(name)!);
    expect({ os, cpus, libc, scripts, dependencies }).toEqual({ os: ["linux"], cpus: [cpu], libc: ["glibc"] });
  });

  test("its addon needs no newer glibc than 2.28, and a seeded need of one is found", () => {
    const folder = join(dir, platform);
    mkdirSync(folder);
    expect(spawnSync("tar", ["-xzf", packed.get(name)!, "-C", folder]).status).toBe(0);
    const addon = join(folder, "package", "quipu.node");
    expect(problemsOf(addon)).toEqual([]);
    const bytes = readFileSync(addon);
    const versions = [...bytes.toString("latin1").matchAll(/\0GLIBC_2\.\d\d\0/g)];
    const { index } = versions.at(-1)!;
    bytes.write("GLIBC_2.38", index + 1, "latin1");
    writeFileSync(addon, bytes);
    expect(problemsOf(addon)).toEqual(
      expect.arrayContaining([expect.stringMatching(/^needs \w+@GLIBC_2\.38, newer than 2\.28$/)]),
    );
  });
});

test("what is built for this machine alone must not be published", () => {
  expect(problemsOf(join(process.cwd(), "build", "Release", "quipu.node"))).toEqual(
    expect.arrayContaining([
      "needs libstdc++.so.6, which is not glibc's",
      "is not stripped",
      expect.stringMatching(/^exports /),
    ]),
  );
});
