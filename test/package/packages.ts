// What scripts/test-package.js has made for these tests: tarballs, and package managers.
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { manifestOf } from "./registry.js";

const BUILD = join(process.cwd(), "build");
const PACKAGES = join(BUILD, "packages");
const TOOLS = join(BUILD, "package-tools", "node_modules");

/** The tarballs, by the name of their package. */
export function tarballs(): ReadonlyMap<string, string> {
  const paths = readdirSync(PACKAGES).map((file) => join(PACKAGES, file));
  return new Map(paths.map((path) => [manifestOf(path).name, path]));
}

/** A file of a package that scripts/test-package.js has installed. */
export function tool(...path: readonly string[]): string {
  return join(TOOLS, ...path);
}
