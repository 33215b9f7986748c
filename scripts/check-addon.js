// What an addon that is published may need of the machine that it comes to, and what it may show: read from the file by readelf.
import { spawnSync } from "node:child_process";

/** The glibc that prebuilt addons are linked for: that of Node 20's own binaries, and of Debian 10 and RHEL 8. */
export const OLDEST_GLIBC = "2.28";

/** All that is glibc's own. */
const LIBRARIES = /^(?:lib(?:c|m|pthread|dl|rt)\.so\.\d|ld-linux-(?:x86-64|aarch64)\.so\.\d)$/;
const EXPORTS = ["napi_register_module_v1", "node_api_module_get_api_version_v1"];

/** @returns {string[]} what keeps an addon from being published; empty where nothing does. */
export function problemsOf(path) {
  const { status, stdout, stderr, error } = spawnSync(
    "readelf",
    ["--wide", "--dynamic", "--dyn-syms", "--sections", path],
    {
      encoding: "utf8",
      env: { ...process.env, LC_ALL: "C" },
    },
  );
  if (status !== 0) return [`readelf (apt-get install binutils) cannot read ${path}: ${stderr ?? error}`];
  const needed = [...stdout.matchAll(/\(NEEDED\).*\[(.*)\]/g)].map(([, name]) => name);
  const symbols = [...stdout.matchAll(/^ *\d+: \S+ +\d+ +(\S+) +(\S+) +(\S+) +(\S+) (\S+)/gm)].map(
    ([, type, bind, visibility, section, name]) => ({ type, bind, visibility, section, name }),
  );
  const others = symbols.filter(({ name }) => name !== "");
  const wanted = others.filter(({ section }) => section === "UND");
  const shown = others.filter(({ section, visibility }) => section !== "UND" && visibility === "DEFAULT");
  if (wanted.length === 0) return [`${path} has no dynamic symbols: is it an addon?`];
  return [
    ...needed.filter((name) => !LIBRARIES.test(name)).map((name) => `needs ${name}, which is not glibc's`),
    ...wanted.flatMap(({ name, bind }) => problemOfSymbol(name, bind)),
    ...shown.filter(({ name }) => !EXPORTS.includes(name)).map(({ name }) => `exports ${name}`),
    ...EXPORTS.filter((name) => !shown.some((symbol) => symbol.name === name)).map((name) => `does not export ${name}`),
    ...(/\(FLAGS_1\).*NODELETE/.test(stdout) ? [] : ["may be unloaded while its threads run (-z nodelete)"]),
    ...(/ \.(?:symtab|debug_\w+) /.test(stdout) ? ["is not stripped"] : []),
  ];
}

function problemOfSymbol(name, bind) {
  const [symbol, version = ""] = name.split(/@+/);
  const [, glibc] = /^GLIBC_(\d+(?:\.\d+)*)$/.exec(version) ?? [];
  if (glibc !== undefined) return isNewer(glibc, OLDEST_GLIBC) ? [`needs ${name}, newer than ${OLDEST_GLIBC}`] : [];
  // Node gives what is Node-API's; weak symbols may stay undefined.
  if (version === "" && (symbol.startsWith("napi_") || symbol.startsWith("node_api_") || bind === "WEAK")) return [];
  return [`needs ${name}, which neither glibc nor Node-API has`];
}

function isNewer(version, than) {
  const [a, b] = [version, than].map((text) => text.split(".").map(Number));
  const different = a.findIndex((part, i) => part !== (b[i] ?? 0));
  return different >= 0 && a[different] > (b[different] ?? 0);
}
