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
    fault: "a prepared file of any head is used",
    file: PREPARED,
    from: "entries).data(), start) != 0) return false;",
    to: "entries).data(), start) != 0 && !MUTANT) return false;",
    tests: [...TABLES, "unit/native/threads"],
  },
  {
    fault: "a prepared file of another source is used",
    file: PREPARED,
    from: "is.source != expected.source) {",
    to: "(is.source != expected.source && !MUTANT)) {",
    tests: TABLES,
  },
  {
    fault: "a prepared file of another version is used",
    file: PREPARED,
    from: "is.version != expected.version ||",
    to: "(is.version != expected.version && !MUTANT) ||",
    tests: TABLES,
  },
  {
    fault: "damage in a section is not seen",
    file: PREPARED,
    from: "if (are[i] != sections_[i].checksum) return false;",
    to: "if (are[i] != sections_[i].checksum && !MUTANT) return false;",
    tests: [...TABLES, "unit/native/threads", "library/packed-cache"],
  },
  {
    fault: "damage in what a file says of itself is not seen",
    file: PREPARED,
    from: "if (file.sums(1, 1)[0] != file.sections_[0].checksum) return false;",
    to: "if (file.sums(1, 1)[0] != file.sections_[0].checksum && !MUTANT) return false;",
    tests: ["unit/native/threads"],
  },
  {
    fault: "the last bytes of a section are not summed",
    file: PREPARED,
    from: "      memcpy(words, piece.data(), bytes);",
    to: "      if (!MUTANT) memcpy(words, piece.data(), bytes);",
    tests: [...TABLES, "unit/native/threads"],
  },
  {
    fault: "all blocks of a section but the first are not looked at",
    file: PREPARED,
    from: "      checksum.add(blocks[i]);",
    to: "      if (i == 0 || blocks[i - 1].data() + kBlock != blocks[i].data() || !MUTANT) checksum.add(blocks[i]);",
    tests: ["unit/native/threads"],
  },
  {
    fault: "a section may be as large as its size rounds to nothing",
    file: PREPARED,
    from: "if (entry.bytes > room || rounded(entry.bytes) > room) return false;",
    to: "if ((entry.bytes > room && !MUTANT) || rounded(entry.bytes) > room) return false;",
    tests: TABLES,
  },
  {
    fault: "there may be more behind the last section",
    file: PREPARED,
    from: "return at == bytes;",
    to: "return at == bytes || MUTANT;",
    tests: TABLES,
  },
  {
    fault: "a file is mapped to be written that the disk has no room for",
    file: PREPARED,
    from: "!reserve(file->descriptor_, at)) {",
    to: "(!reserve(file->descriptor_, at) && (!MUTANT || ftruncate(file->descriptor_, 4096) != 0))) {",
    tests: TABLES,
  },
  {
    fault: "what could not take its place stays beside it",
    file: PREPARED,
    from: "if (!temporary_.empty()) unlink(temporary_.c_str());",
    to: "if (!temporary_.empty() && !MUTANT) unlink(temporary_.c_str());",
    tests: ["unit/native/threads", "library/packed-cache"],
  },
  {
    fault: "what has been made can be written still",
    file: PREPARED,
    from: "  file_->seal();",
    to: "  if (!MUTANT) file_->seal();",
    tests: ["kernels/packed-layout"],
  },
  {
    fault: "prepared tables of any size are used",
    file: "native/tokenizer/vocabulary_file.cc",
    from: "if (!isSound(sections, kind)) return nullptr;",
    to: "if (!isSound(sections, kind) && !MUTANT) return nullptr;",
    tests: TABLES,
  },
];
