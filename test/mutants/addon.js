// Faults in how the native addon is found, and in what is said where there is none.
const FIND = "src/addon/find-addon.ts";
const PLATFORM = "src/addon/platform.ts";
const tests = ["lifecycle/platforms"];

export const mutants = [
  {
    fault: "what was installed comes before what was built here",
    file: FIND,
    from: 'if (existsSync(built)) return { path: built, origin: "built" };',
    to: 'if (existsSync(built) && findPrebuilt() === undefined) return { path: built, origin: "built" };',
    tests,
  },
  {
    fault: "a prebuilt addon of another version is loaded",
    file: FIND,
    from: "if (mine === its && existsSync(path)) return path;",
    to: "if (existsSync(path)) return path;",
    tests,
  },
  {
    fault: "a clone is told to install anew",
    file: FIND,
    from: 'if (existsSync(join(FOLDER, "src")))',
    to: 'if (existsSync(join(FOLDER, "sources")))',
    tests,
  },
  {
    fault: "musl counts as glibc",
    file: PLATFORM,
    from: "if (glibc === undefined)\n",
    to: "if (glibc === null)\n",
    tests,
  },
  {
    fault: "versions of glibc are compared as decimals",
    file: PLATFORM,
    from: "major < otherMajor || (major === otherMajor && minor < otherMinor)",
    to: "Number(version) < Number(than)",
    tests,
  },
  {
    fault: "an addon that fails to load does not say that the system is too old",
    file: "src/addon/addon.ts",
    from: '"ERR_ADDON", unsupportedPlatform() ?? `',
    to: '"ERR_ADDON", `',
    tests,
  },
];
