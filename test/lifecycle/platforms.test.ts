// Where there is no addon for this machine, or not the right one: one line that says what is supported, or what is missing, and
// the next step. Other machines are played by a module that is loaded first.
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { temporaryFolder } from "../checkpoint-writer.js";

const root = process.cwd();
const dir = temporaryFolder();
const modules = join(dir, "node_modules");
const installed = join(modules, "quipu-llm");
const { version, dependencies } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));

mkdirSync(installed, { recursive: true });
for (const name of ["bin", "dist/bundle", "models", "package.json"])
  cpSync(join(root, name), join(installed, name), { recursive: true });
for (const name of Object.keys(dependencies)) symlinkSync(join(root, "node_modules", name), join(modules, name), "dir");

interface Played {
  readonly platform?: string;
  readonly arch?: string;
  /** Undefined: none, as with musl. */
  readonly glibc?: string;
}

const PLAYER = join(dir, "play.cjs");
writeFileSync(
  PLAYER,
  `const { platform, arch, glibc } = JSON.parse(process.env.PLAYED);
  for (const [name, value] of Object.entries({ platform, arch })) if (value) Object.defineProperty(process, name, { value });
  process.report.getReport = () => ({ header: glibc === undefined ? {} : { glibcVersionRuntime: glibc } });`,
);

function quipu(args: readonly string[], played: Played = { glibc: "2.36" }) {
  const { status, stdout, stderr } = spawnSync(process.execPath, ["--require", PLAYER, "bin/quipu.js", ...args], {
    ...{ cwd: installed, encoding: "utf8", timeout: 250_000 },
    env: { ...process.env, PLAYED: JSON.stringify(played), QUIPU_ADDON: "" },
  });
  return { status, stdout, stderr };
}

/** A package of this platform with an addon of these bytes. */
function providePrebuilt(addon: string | Buffer, itsVersion = version) {
  const folder = join(modules, "@quipu-llm", `linux-${process.arch}`);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "package.json"), JSON.stringify({ version: itsVersion }));
  writeFileSync(join(folder, "quipu.node"), addon);
}

const own = () => readFileSync(process.env.QUIPU_ADDON || join(root, "build", "Release", "quipu.node"));
const SUPPORTED = "quipu runs on Linux on x64 or arm64 with glibc 2.28 or newer; this is ";

beforeEach(() => {
  for (const folder of [join(modules, "@quipu-llm"), join(installed, "build"), join(installed, "src")])
    rmSync(folder, { recursive: true, force: true });
});

test.each<[string, Played, string]>([
  ["Windows", { platform: "win32" }, "Windows on x64. Run it in WSL 2."],
  [
    "macOS",
    { platform: "darwin", arch: "arm64" },
    "macOS on arm64. Run it in a container or a virtual machine with Linux.",
  ],
  ["musl", {}, "Linux on x64 with musl in place of glibc. Use an image with glibc, as node:22-slim."],
  ["an old glibc", { glibc: "2.17" }, "Linux on x64 with glibc 2.17. Use a newer system."],
  [
    "a glibc whose number is greater as a decimal",
    { glibc: "2.3" },
    "Linux on x64 with glibc 2.3. Use a newer system.",
  ],
  ["another processor", { arch: "riscv64", glibc: "2.36" }, "Linux on riscv64. Use another machine."],
])("%s is refused by name", (_, played, told) => {
  const expected = { status: 6, stdout: "", stderr: `quipu: ${SUPPORTED}${told}\n` };
  expect(quipu(["Once upon a time"], { arch: "x64", ...played })).toEqual(expected);
});

test("a system that is too old for the prebuilt addon is named, not the symbol that it lacks", () => {
  providePrebuilt("no module");
  const { status, stderr } = quipu(["x"], { arch: process.arch, glibc: "2.27" });
  expect({ status, stderr }).toEqual({
    status: 6,
    stderr: `quipu: ${SUPPORTED}Linux on ${process.arch} with glibc 2.27. Use a newer system.\n`,
  });
});

test("a prebuilt addon that was not installed: which, why that may be, and the command that builds it", () => {
  expect(quipu(["x"])).toEqual({
    ...{ status: 6, stdout: "" },
    stderr:
      `quipu: the prebuilt addon is not installed: there is no package @quipu-llm/linux-${process.arch}, which npm leaves out with ` +
      "--omit=optional or a lock file of another platform. Install quipu-llm anew, or build the addon from its sources: " +
      `\`node ${installed}/scripts/build-native.js\`.\n`,
  });
});

test("a clone without a build is told to build", () => {
  mkdirSync(join(installed, "src"));
  const { status, stderr } = quipu(["x"]);
  expect({ status, stderr }).toMatchObject({
    status: 6,
    stderr: expect.stringMatching(
      /^quipu: the native addon is not built: .*quipu\.node does not exist\. Build it: `node \S+\/scripts\/build-native\.js`\.\n$/,
    ),
  });
});

test("a prebuilt addon of another version is not loaded", () => {
  providePrebuilt(own(), "0.0.1");
  const { status, stderr } = quipu(["x"]);
  expect({ status, stderr }).toMatchObject({
    status: 6,
    stderr: expect.stringMatching(
      new RegExp(
        `^quipu: @quipu-llm/linux-\\w+ 0\\.0\\.1 in \\S+ has no addon for quipu-llm ${version}\\. Install both anew: .*\n$`,
      ),
    ),
  });
});

test("one that cannot be loaded: which, why, and the command that builds it", () => {
  providePrebuilt("no module");
  expect(quipu(["x"])).toMatchObject({
    status: 6,
    stderr: expect.stringMatching(
      /^quipu: the native addon \S+quipu\.node cannot be loaded: .*scripts\/build-native\.js`\.\n$/,
    ),
  });
});

test("what was built here comes before what was installed", () => {
  providePrebuilt(own());
  const prebuilt = quipu(["doctor"]);
  expect(prebuilt).toMatchObject({
    status: 0,
    stdout: expect.stringMatching(/^addon +prebuilt: \S+ [\d.]+, for glibc/m),
  });
  mkdirSync(join(installed, "build", "Release"), { recursive: true });
  writeFileSync(join(installed, "build", "Release", "quipu.node"), own());
  const built = quipu(["doctor"]);
  expect(built).toMatchObject({ status: 0, stdout: expect.stringMatching(/^addon +built here: \S+ [\d.]+, glibc/m) });
});

test("doctor without an addon says what it can, and the rest is the error", () => {
  expect(quipu(["doctor"], {})).toEqual({
    status: 6,
    stdout: expect.stringMatching(/^version +quipu [\d.]+, Node v[\d.]+, linux \w+, no glibc\ncpu +.+\n$/),
    stderr: expect.stringMatching(/^quipu: quipu runs on Linux .*musl/),
  });
});

test("help and version need no addon", () => {
  for (const args of [["--help"], ["--version"]])
    expect(quipu(args, { platform: "win32" })).toMatchObject({ status: 0, stderr: "" });
});
