// Faults in what native code promises of memory.
const BUFFER = "native/core/buffer.cc";
const FILE = "native/core/mapped_file.cc";

export const mutants = [
  {
    fault: "index writes below −1 pass",
    file: BUFFER,
    from: "if (index < -1 || (index >= 0",
    to: "if ((index < -1 && !MUTANT) || (index >= 0",
    tests: ["unit/device/device.test"],
  },
  {
    fault: "an index equal to its bound passes",
    file: BUFFER,
    from: "static_cast<uint32_t>(index) >= indexBound_)",
    to: "static_cast<uint32_t>(index) >= indexBound_ + MUTANT)",
    tests: ["unit/device/device.test"],
  },
  {
    fault: "a file whose size has changed since its header was checked is mapped",
    file: FILE,
    from: "if (bytes != expectedBytes) {",
    to: "if (bytes != expectedBytes && !MUTANT) {",
    tests: ["unit/device/weight-file"],
  },
  {
    fault: "tensors that are not aligned are not copied",
    file: FILE,
    from: "if (reinterpret_cast<uintptr_t>(start) % alignment == 0) {",
    to: "if (MUTANT || reinterpret_cast<uintptr_t>(start) % alignment == 0) {",
    tests: ["unit/device/weight-file"],
  },
  {
    fault: "a view beyond the file passes",
    file: FILE,
    from: 'if (offset > bytes_ || bytes > bytes_ - offset) {\n    return Status::error(ErrorCode::kInternal, "view',
    to: 'if (offset > bytes_ || (bytes > bytes_ - offset && !MUTANT)) {\n    return Status::error(ErrorCode::kInternal, "view',
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
