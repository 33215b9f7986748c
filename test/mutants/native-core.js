// Faults in how native code opens files of weights.
const FILE = "native/core/mapped_file.cc";

export const mutants = [
  {
    fault: "a file whose size has changed since its header was checked is mapped",
    file: FILE,
    from: "if (bytes != expectedBytes) {",
    to: "if (bytes != expectedBytes && !MUTANT) {",
    tests: ["unit/device/weight-file"],
  },
  {
    fault: "a pipe is opened and waited for",
    file: FILE,
    from: "if (!S_ISREG(info.st_mode)) return",
    to: "if (!S_ISREG(info.st_mode) && !MUTANT) return",
    tests: ["unit/checkpoint/file"],
  },
];
