// The tarballs that are published, in build/packages: quipu-llm, which has no install script and compiles nothing, and for each
// platform @quipu-llm/<platform> with the prebuilt addon, of which npm takes the one that fits (docs/decisions/0028).
//
//   npm run package                         all of them
//   npm run package -- main linux-x64       some
//   npm run package -- --to <folder> main   elsewhere
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { OLDEST_GLIBC } from "./check-addon.js";
import { makePrebuilt, PLATFORMS } from "./prebuilt.js";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
const ALL = ["main", ...Object.keys(PLATFORMS)];

/** What the scripts of an installed package are for: building from source. The others need a clone. */
const SHIPPED_SCRIPTS = ["build:native", "build:cuda", "doctor"];
/** What these scripts fetch (scripts/cmake.js). */
const BUILD_PACKAGES = ["cmake-js", "node-addon-api", "node-api-headers"];

const staging = mkdtempSync(join(tmpdir(), "quipu-package-"));
try {
  const [to, names] = parseArguments(process.argv.slice(2));
  mkdirSync(to, { recursive: true });
  for (const name of names) {
    const folder = join(staging, name);
    mkdirSync(folder);
    if (name === "main") stageMain(folder);
    else stagePlatform(name, folder);
    const { filename, size, unpackedSize } = pack(folder, ["--pack-destination", to]);
    console.log(`${join(to, filename)}  ${megabytes(size)}, unpacked ${megabytes(unpackedSize)}`);
  }
} catch (error) {
  console.error(`package: ${error.message}`);
  process.exitCode = error.exitCode ?? 1;
} finally {
  rmSync(staging, { recursive: true });
}

function parseArguments(args) {
  const at = args.indexOf("--to");
  const [, to = join(root, "build", "packages")] = at < 0 ? [] : args.splice(at, 2);
  const unknown = args.find((name) => !ALL.includes(name));
  if (unknown === undefined) return [to, args.length > 0 ? args : ALL];
  throw Object.assign(new Error(`${unknown}: expected ${ALL.join(", ")}`), { exitCode: 2 });
}

/** The files that package.json names, with a package.json for users. */
function stageMain(folder) {
  const { files } = pack(root, ["--dry-run"]);
  for (const { path } of files) cpSync(join(root, path), join(folder, path));
  const pick = (of, names) => Object.fromEntries(names.map((name) => [name, of[name]]));
  writeManifest(folder, {
    ...manifest,
    scripts: pick(manifest.scripts, SHIPPED_SCRIPTS),
    devDependencies: pick(manifest.devDependencies, BUILD_PACKAGES),
    optionalDependencies: Object.fromEntries(
      Object.keys(PLATFORMS).map((name) => [packageName(name), manifest.version]),
    ),
    jest: undefined,
  });
}

function stagePlatform(name, folder) {
  const { cpu } = PLATFORMS[name];
  cpSync(makePrebuilt(name), join(folder, "quipu.node"));
  cpSync(join(root, "LICENSE"), join(folder, "LICENSE"));
  const { version, license, engines } = manifest;
  writeManifest(folder, {
    ...{ name: packageName(name), version, license, engines },
    description: `The native addon of quipu-llm for Linux on ${cpu} with glibc ${OLDEST_GLIBC} or newer`,
    ...{ os: ["linux"], cpu: [cpu], libc: ["glibc"], files: ["quipu.node"], preferUnplugged: true },
    publishConfig: { access: "public" },
  });
  const kernels = cpu === "x64" ? "AVX2, AVX-512, each with VNNI too, and plain C++" : "plain C++; none of NEON yet";
  writeFileSync(
    join(folder, "README.md"),
    `# ${packageName(name)}

The native addon of [quipu-llm](https://www.npmjs.com/package/quipu-llm), which installs it where it fits: Linux on ${cpu} with glibc
${OLDEST_GLIBC} or newer. Its kernels: ${kernels}. It has its C++ runtime in itself, and needs nothing of the machine but glibc and Node.
`,
  );
}

function packageName(platform) {
  return `@quipu-llm/${platform}`;
}

function writeManifest(folder, content) {
  writeFileSync(join(folder, "package.json"), `${JSON.stringify(content, null, 2)}\n`);
}

/** What `npm pack` says of a folder. */
function pack(folder, args) {
  const { status, stdout, stderr } = spawnSync("npm", ["pack", "--ignore-scripts", "--json", ...args], {
    ...{ cwd: folder, encoding: "utf8", maxBuffer: 2 ** 26 },
  });
  if (status !== 0) throw new Error(`npm pack failed in ${folder}: ${stderr}`);
  return JSON.parse(stdout)[0];
}

function megabytes(bytes) {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
