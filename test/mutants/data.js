// Faults in what makes token files, and reads them.
const PACK = "src/data/pack.ts";
const ENCODER = "src/data/document-encoder.ts";
const WRITER = "src/data/token-writer.ts";
const FILE = "src/data/token-file.ts";
const FORMAT = "src/data/token-format.ts";
const PACKED = ["unit/data/pack"];
const READ = ["unit/data/token-file"];
const COMMAND = ["e2e/data"];

export const mutants = [
  {
    fault: "a batch that is not written when the next is encoded is lost",
    file: ENCODER,
    from: "await this.#write();\n    this.#inFlight = next;",
    to: "this.#inFlight = next;",
    tests: PACKED,
  },
  {
    fault: "a long text goes before the short ones that were added before it",
    file: ENCODER,
    from: "    await this.end();\n    const { signal }",
    to: "    const { signal }",
    tests: PACKED,
  },
  {
    fault: "all of a text that is at hand is hashed",
    file: ENCODER,
    from: "bytes.subarray(0, HASHED_BYTES)",
    to: "bytes",
    tests: PACKED,
  },
  {
    fault: "the half of a character is hashed",
    file: ENCODER,
    from: "text.slice(0, HASHED_BYTES + 1)",
    to: "text.slice(0, HASHED_BYTES)",
    tests: PACKED,
  },
  {
    fault: "documents are held out by their number",
    file: ENCODER,
    from: "digest.readUIntBE(0, 6) < holdOut * 2 ** 48",
    to: "((this.heldOutNumber = (this.heldOutNumber ?? 0) + 1) % Math.round(1 / holdOut) === 0)",
    tests: PACKED,
  },
  {
    fault: "documents without text are documents",
    file: ENCODER,
    from: "if (textBytes === 0) {",
    to: "if (false) {",
    tests: PACKED,
  },
  {
    fault: "the index is not aligned",
    file: FORMAT,
    from: "Math.ceil((tokens * bytesPerToken(vocabSize)) / INDEX_BYTES) * INDEX_BYTES",
    to: "tokens * bytesPerToken(vocabSize)",
    tests: PACKED,
  },
  {
    fault: "ids beyond 65,535 lose their upper half",
    file: FORMAT,
    from: "vocabSize <= MOST_IDS_OF_U16 ? 2 : 4",
    to: "vocabSize <= 2 * MOST_IDS_OF_U16 ? 2 : 4",
    tests: PACKED,
  },
  {
    fault: "any version is read",
    file: FORMAT,
    from: "if (version !== VERSION)",
    to: "if (version === undefined)",
    tests: READ,
  },
  {
    fault: "a buffer that is full loses what does not fit",
    file: WRITER,
    from: "at += some.length;",
    to: "at = bytes.length;",
    tests: PACKED,
  },
  {
    fault: "a file has its name before it is whole",
    file: WRITER,
    from: "await PartFile.create(`${path}.${process.pid}.part`)",
    to: "await PartFile.create(path)",
    tests: PACKED,
  },
  {
    fault: "what failed is left there",
    file: PACK,
    from: '    signal?.removeEventListener("abort", discard);\n    discard();',
    to: '    signal?.removeEventListener("abort", discard);',
    tests: PACKED,
  },
  {
    fault: "the index's own file is left there",
    file: WRITER,
    from: "    this.#index.remove();\n",
    to: "",
    tests: PACKED,
  },
  {
    fault: "a file is overwritten unasked",
    file: PACK,
    from: "if (!force) await refuseExisting(paths);",
    to: "",
    tests: PACKED,
  },
  {
    fault: "an empty corpus is packed",
    file: PACK,
    from: "if (documents === 0) {",
    to: "if (documents < 0) {",
    tests: PACKED,
  },
  {
    fault: "an index whose ends are wrong is read",
    file: FILE,
    from: "if (first !== 0 || last !== info.tokens)",
    to: "if (first !== 0 && last !== info.tokens)",
    tests: READ,
  },
  {
    fault: "an index that goes back is read",
    file: FILE,
    from: "if (start < previous || start > this.info.tokens) {",
    to: "if (start < previous) {",
    tests: READ,
  },
  {
    fault: "ids beyond the vocabulary are read",
    file: FILE,
    from: "if (id >= vocabSize) {",
    to: "if (id > vocabSize) {",
    tests: READ,
  },
  {
    fault: "a vocabulary is told by its size",
    file: FILE,
    from: "if (got === expected) return;",
    to: "if (tokenizer.vocabSize === vocabSize) return;",
    tests: READ,
  },
  {
    fault: "which tokens are special is not hashed",
    file: "src/data/vocabulary-hash.ts",
    from: "return hash.update(special).digest",
    to: "return hash.digest",
    tests: READ,
  },
  {
    fault: "--bos none names a token",
    file: "src/cli/commands/data-pack.ts",
    from: 'text === "none" ? false : text',
    to: "text",
    tests: COMMAND,
  },
];
