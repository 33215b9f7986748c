// Where quipu.node is: the build that QUIPU_ADDON names, the one that was built in the package's folder, or the prebuilt one of
// the package for this platform.
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { QuipuError } from "../errors.js";
import { platformPackage, unsupportedPlatform } from "./platform.js";

export interface AddonFile {
  readonly path: string;
  /** "named" by QUIPU_ADDON; "built" here; "prebuilt": of the package for this platform. */
  readonly origin: "named" | "built" | "prebuilt";
}

/** The folder of the package, or of a clone; this file is two folders below it, bundled or not. */
const FOLDER = fileURLToPath(new URL("../..", import.meta.url)).replace(/\/$/, "");

/** Where `npm run build:native` and the like put what they build. */
export const BUILD_FOLDER = join(FOLDER, "build", "Release");

/** The command that builds the addon from its sources. `npm --prefix` would leave the machine's npmrc out, with its registry and certificates. */
export const BUILD_COMMAND = `node ${shellWord(join(FOLDER, "scripts", "build-native.js"))}`;

function shellWord(text: string): string {
  return /^[\w@./+-]+$/.test(text) ? text : JSON.stringify(text);
}

/** @throws {QuipuError} ERR_ADDON where there is none: what is supported, or what is missing, and the next step. */
export function findAddon(): AddonFile {
  const named = process.env.QUIPU_ADDON;
  if (named) {
    if (existsSync(named)) return { path: resolve(named), origin: "named" };
    throw new QuipuError("ERR_ADDON", `${named}, which QUIPU_ADDON names, does not exist.`);
  }
  const built = join(BUILD_FOLDER, "quipu.node");
  if (existsSync(built)) return { path: built, origin: "built" };
  const prebuilt = findPrebuilt();
  if (prebuilt !== undefined) return { path: prebuilt, origin: "prebuilt" };
  throw new QuipuError("ERR_ADDON", unsupportedPlatform() ?? missing());
}

function findPrebuilt(): string | undefined {
  const name = platformPackage();
  let manifest: string;
  try {
    manifest = createRequire(import.meta.url).resolve(`${name}/package.json`);
  } catch {
    return undefined;
  }
  const path = join(dirname(manifest), "quipu.node");
  const [mine, its] = [versionOf(join(FOLDER, "package.json")), versionOf(manifest)];
  if (mine === its && existsSync(path)) return path;
  throw new QuipuError(
    "ERR_ADDON",
    `${name} ${its} in ${dirname(manifest)} has no addon for quipu-llm ${mine}. Install both anew: \`npm install quipu-llm@${mine}\`.`,
  );
}

function versionOf(manifest: string): string {
  return (JSON.parse(readFileSync(manifest, "utf8")) as { version: string }).version;
}

function missing(): string {
  if (existsSync(join(FOLDER, "src")))
    return `the native addon is not built: ${BUILD_FOLDER}/quipu.node does not exist. Build it: \`${BUILD_COMMAND}\`.`;
  return (
    `the prebuilt addon is not installed: there is no package ${platformPackage()}, which npm leaves out with --omit=optional ` +
    `or a lock file of another platform. Install quipu-llm anew, or build the addon from its sources: \`${BUILD_COMMAND}\`.`
  );
}
