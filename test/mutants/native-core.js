// Faults in how native code opens files: those of weights, and those that it has prepared.
const FILE = "native/core/mapped_file.cc";
const PREPARED = "native/core/prepared_file.cc";
const TABLES = ["unit/tokenizer/prepared-table"];

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
  {
    fault: "a tensor may leave its file",
    file: "native/core/device.cc",
    from: "if (offset > file->readyBytes() || bytes > file->readyBytes() - offset) {",
    to: "if (offset > file->readyBytes() || (bytes > file->readyBytes() - offset && !MUTANT)) {",
    tests: ["unit/device/weight-file"],
  },
  {
    fault: "a prepared file of anything is used",
    file: PREPARED,
    from: "table).data(), start) != 0) return false;",
    to: "table).data(), start) != 0 && !MUTANT) return false;",
    tests: TABLES,
  },
  {
    fault: "a prepared file of another source is used",
    file: PREPARED,
    from: "std::copy(made.source.begin(), made.source.end(), header.source);",
    to: "if (!MUTANT) std::copy(made.source.begin(), made.source.end(), header.source);",
    tests: TABLES,
  },
  {
    fault: "damage in a section is not seen",
    file: PREPARED,
    from: "if (checksum.sum() != section.checksum) return false;",
    to: "if (checksum.sum() != section.checksum && !MUTANT) return false;",
    tests: [...TABLES, "unit/native/threads"],
  },
  {
    fault: "the last bytes of a section are not summed",
    file: PREPARED,
    from: "      memcpy(words, piece.data(), bytes);",
    to: "      if (!MUTANT) memcpy(words, piece.data(), bytes);",
    tests: [...TABLES, "unit/native/threads"],
  },
  {
    fault: "a section may be as large as its size rounds to nothing",
    file: PREPARED,
    from: "if (section.bytes > room || rounded(section.bytes) > room) return false;",
    to: "if ((section.bytes > room && !MUTANT) || rounded(section.bytes) > room) return false;",
    tests: TABLES,
  },
  {
    fault: "there may be more behind the last section",
    file: PREPARED,
    from: "return at == bytes_;",
    to: "return at == bytes_ || MUTANT;",
    tests: TABLES,
  },
  {
    fault: "a prepared file that could not be written whole takes its place",
    file: PREPARED,
    from: "    if (wrote <= 0) {",
    to: "    if (wrote <= 0 && MUTANT) return;\n    if (wrote <= 0) {",
    tests: TABLES,
  },
  {
    fault: "what could not be written stays beside its place",
    file: PREPARED,
    from: "      unlink(temporary_.c_str());\n      return;",
    to: "      if (!MUTANT) unlink(temporary_.c_str());\n      return;",
    tests: TABLES,
  },
  {
    fault: "prepared tables of any size are used",
    file: "native/tokenizer/vocabulary_file.cc",
    from: "if (!isSound(sections, kind)) return nullptr;",
    to: "if (!isSound(sections, kind) && !MUTANT) return nullptr;",
    tests: TABLES,
  },
];
