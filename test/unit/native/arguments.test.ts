// Every argument of every native call, with values of other kinds: the error names the call and the argument, and nothing is read
// from what is of another kind.
import { statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { callNative, nativeAddon } from "#quipu/addon/addon.js";

// biome-ignore lint/suspicious/noExplicitAny: what its types forbid is what is passed
type Any = any;

const addon = nativeAddon() as Any;
const packed = `! 0 ${Array.from({ length: 256 }, (_, byte) => Buffer.from([byte]).toString("base64")).join(" ")}`;
const vocabulary = new addon.Vocabulary("packed", packed);
const UNKNOWN = [false, -1, false];
const tokenizer = new addon.Tokenizer(vocabulary, 0, true, [], [256, "<s>", 1], null, UNKNOWN, null);
const pieces: readonly unknown[] = [Buffer.from("ab"), Uint32Array.of(1, 2), Uint32Array.of(0, 1), Uint8Array.of(0, 0)];
const ofText = new addon.Vocabulary("pieces", ...pieces);
const trainer = () => new addon.TokenizerTrainer("gpt2", 1, 2 ** 20, tmpdir(), []);
const counting = trainer();
const training = trainer();
const device = new addon.Device("scalar", 1);
const buffer = device.buffer(64, 0, false);
const flag = new addon.CancelFlag();
const path = join(process.cwd(), "package.json");
const { size } = statSync(path);
const file = new addon.MappedFile(path, size, true, 0, size);
const unmapped = new addon.MappedFile(path, size, false, 0, size);
afterAll(() => {
  file.dispose();
  unmapped.dispose();
  device.dispose();
  counting.dispose();
  training.dispose();
});

const one = Uint8Array.of(1);
const OTHERS: readonly unknown[] = [undefined, null, 1.5, -7, "x", true, {}, [1], new Float32Array(2), new Date(0)];

/** A call, arguments that it takes, and the names of those that are checked. */
const CALLS: Readonly<Record<string, { call: (...args: Any[]) => unknown; args: readonly unknown[]; from?: number }>> =
  {
    "new Vocabulary(format, source)": { call: (...a) => new addon.Vocabulary(...a), args: ["packed", packed] },
    "new Vocabulary(format, texts, ends, priorities, kinds)": {
      call: (...a) => new addon.Vocabulary(...a),
      args: ["pieces", ...pieces],
      from: 1,
    },
    "find(text)": { call: (...a) => vocabulary.find(...a), args: ["a"] },
    "isMerged(text)": { call: (...a) => vocabulary.isMerged(...a), args: ["a"] },
    "new Tokenizer(vocabulary, pattern, wholePieces, normalizer, added, marks, unknown, decoding)": {
      call: (...a) => new addon.Tokenizer(...a),
      args: [ofText, -1, true, [], [], null, UNKNOWN, null],
    },
    "encode(text, allowed, refusesOthers, beginning)": {
      call: (...a) => tokenizer.encode(...a),
      args: ["a", one, false, -1],
      from: 1, // what is wrong with a text is the user's fault
    },
    "count(text, allowed, refusesOthers, beginning)": {
      call: (...a) => tokenizer.count(...a),
      args: ["a", one, false, -1],
      from: 1,
    },
    "normalize(text, steps)": { call: (...a) => addon.normalize(...a), args: ["a", []] },
    "parts(text, passes, allowed, refusesOthers, beginning)": {
      call: (...a) => tokenizer.parts(...a),
      args: ["a", 0, one, false, -1],
      from: 1,
    },
    "encodePieces(text, ends)": {
      call: (...a) => tokenizer.encodePieces(...a),
      args: ["a", Int32Array.of(1)],
      from: 1,
    },
    "encodeAll(texts, keep, threads, allowed, refusesOthers, beginning)": {
      call: (...a) => tokenizer.encodeAll(...a),
      args: [[], true, 1, one, false, -1],
    },
    "tryLock(fd)": { call: (...a) => addon.tryLock(...a), args: [99] },
    "decode(ids, special)": { call: (...a) => tokenizer.decode(...a), args: [Int32Array.of(1), true] },
    "decodeBytes(ids, special)": { call: (...a) => tokenizer.decodeBytes(...a), args: [Int32Array.of(1), true] },
    "bytesOf(id, first)": { call: (...a) => tokenizer.bytesOf(...a), args: [1, false] },
    "new EncodeStream(tokenizer, allowed, refusesOthers, beginning)": {
      call: (...a) => new addon.EncodeStream(...a),
      args: [tokenizer, one, false, -1],
    },
    "new TokenizerTrainer(pattern, threads, memoryBytes, folder, runs)": {
      call: (...a) => new addon.TokenizerTrainer(...a).dispose(),
      args: ["gpt2", 1, 2 ** 20, tmpdir(), []],
    },
    "count(bytes, ends)": { call: (...a) => counting.count(...a), args: [one, Uint32Array.of(1)] },
    "train(merges, minFrequency, minPieceCount, forbidden)": {
      call: (...a) => training.train(...a),
      args: [1, 1, 1, []],
    },
    "merges(pairs, counts)": { call: (...a) => counting.merges(...a), args: [new Uint32Array(), new Float64Array()] },
    "cut(bytes)": { call: (...a) => counting.cut(...a), args: [one] },
    "new Device(target, threads)": { call: (...a) => new addon.Device(...a).dispose(), args: ["scalar", 1] },
    "buffer(bytes, indexBound, filled)": { call: (...a) => device.buffer(...a), args: [64, 0, false] },
    "place(file, offset, bytes, alignment)": { call: (...a) => device.place(...a), args: [file, 0, 16, 1] },
    "placeMatrix(file, offset, alignment, dtype, rows, columns)": {
      call: (...a) => device.placeMatrix(...a),
      args: [file, 0, 1, 0, 2, 2],
    },
    "program(stream, buffers)": {
      call: (...a) => {
        try {
          return device.program(...a);
        } catch (error) {
          if (!String(error).includes("native call")) return; // the stream: arguments were read
          throw error;
        }
      },
      args: [new Uint32Array(), []],
    },
    "workspaceOf(target, threads, stream, buffers)": {
      call: (...a) => {
        try {
          return addon.workspaceOf(...a);
        } catch (error) {
          if (!String(error).includes("native call")) return; // the stream: arguments were read
          throw error;
        }
      },
      args: ["scalar", 1, new Uint32Array(), new Float64Array(3)],
    },
    "run(program, writes, reads, cancel, byRow, rows, wanted)": {
      call: (...a) => device.run(...a),
      args: [null, [buffer, 0, one], [buffer, 0, one], flag, false, 0, 0],
    },
    "cancel(flag)": { call: (...a) => device.cancel(...a), args: [flag] },
    "new MappedFile(path, expectedBytes, map, first, bytes)": {
      call: (...a) => new addon.MappedFile(...a).dispose(),
      args: [path, size, false, 0, size],
    },
    "read(most)": { call: (...a) => unmapped.read(...a), args: [1] },
    "measureReadBandwidth(target, threads, bytes, passes, stop)": {
      call: (...a) => addon.measureReadBandwidth(...a),
      args: ["scalar", 1, 2 ** 20, 1, Int32Array.of(1)],
    },
    "measureOperations(target, threads, codes, stop)": {
      call: (...a) => addon.measureOperations(...a),
      args: ["scalar", 1, false, Int32Array.of(1)],
    },
  };

const kindOf = (value: unknown) => (Array.isArray(value) ? "list" : Object.prototype.toString.call(value));

describe.each(Object.entries(CALLS))("%s", (written, { call, args, from = 0 }) => {
  const names = written.slice(written.indexOf("(") + 1, -1).split(", ");

  test("takes what it is meant to take", async () => {
    await Promise.resolve(call(...args)).catch((error: { code?: string }) => {
      expect(error.code).toBe("ERR_ABORTED"); // the roofs, which are stopped at once
    });
  });

  test.each(names.slice(from))("%s of another kind is an error that names it", (name) => {
    const at = names.indexOf(name);
    for (const other of OTHERS) {
      const isNumber = typeof args[at] === "number" && typeof other === "number";
      if (kindOf(other) === kindOf(args[at]) && !isNumber) continue;
      if (args[at] === null && other === undefined) continue; // nothing, too
      const wrong = args.map((arg, i) => (i === at ? other : arg));
      expect(() => callNative(() => call(...wrong))).toThrow(
        expect.objectContaining({
          code: "ERR_INTERNAL",
          message: expect.stringMatching(
            new RegExp(`native call ${written.split("(")[0]}\\(.*\\): ${name}: expected `),
          ),
        }),
      );
    }
  });
});

test("what is of its kind and wrong all the same is named too", () => {
  const tokenizerWith = (changes: object) =>
    new addon.Tokenizer(...Object.assign([ofText, -1, true, [], [], null, UNKNOWN, null], changes));
  const stop = Int32Array.of(1);
  const cases: readonly [() => unknown, RegExp][] = [
    [
      () => new addon.Vocabulary("gguf", packed),
      /new Vocabulary\(.*\): format: expected packed, pieces, ranks or tokenizer.json/,
    ],
    [() => tokenizerWith({ 1: 99 }), /: pattern: expected a whole number from -1 to \d/],
    [() => tokenizerWith({ 1: 0 }), /: pattern: expected -1, as tokens are text/],
    [() => tokenizerWith({}).encodePieces("é", Int32Array.of(1, 2)), /a piece that is cut within a character/],
    [
      () => new addon.Vocabulary("pieces", pieces[0], pieces[1], Uint32Array.of(0, 2 ** 24), pieces[3]),
      /a priority beyond those of merges/,
    ],
    [() => tokenizerWith({ 3: [1, "", "a"] }), /: normalizer: expected a kind of step/],
    [() => tokenizerWith({ 4: [2 ** 24, "x", 0] }), /: added: expected an id of 24 bits/],
    [() => tokenizerWith({ 5: ["ab", false, false, 0] }), /: marks: expected a character/],
    [
      () => tokenizerWith({ 0: vocabulary, 5: ["a", false, false, 0] }),
      /: marks: expected nothing, as tokens are bytes/,
    ],
    [() => tokenizerWith({ 7: [false, "", 0, "", "", "x"] }), /: decoding: expected a flag/],
    [() => new addon.Vocabulary("pieces", pieces[0], pieces[1], pieces[2], one), /: kinds: expected a number for each/],
    [() => tokenizer.encode("a", new Uint8Array(7), false, -1), /encode\(.*\): allowed: expected a byte for each/],
    [() => tokenizer.bytesOf(4096, false), /bytesOf\(id, first\): id: expected an id of the vocabulary/],
    [() => counting.count(one, Uint32Array.of(2)), /count\(bytes, ends\): ends: expected ascending places/],
    [() => counting.merges(new Uint32Array(2), new Float64Array()), /: pairs: expected two elements a merge/],
    [
      () => device.run(null, [buffer, 0, [1]], [], flag, false, 0, 0),
      /: writes: expected a buffer, an offset and a typed/,
    ],
    [
      () => device.run(null, [], [file, 0, one], flag, false, 0, 0),
      /: reads: expected a buffer, an offset and a typed/,
    ],
    [() => device.program(new Uint32Array(), [file]), /program\(stream, buffers\): buffers: expected buffers/],
    [
      () => addon.workspaceOf("scalar", 1, new Uint32Array(), new Float64Array(2)),
      /workspaceOf\(.*\): buffers: expected three numbers for each buffer/,
    ],
    [() => addon.workspaceOf("scalar", 1, new Uint32Array(), Float64Array.of(-1, 0, 1)), /: buffers: expected whole/],
    [() => device.place(file, 0, 1, 0), /: alignment: expected a whole number from 1 /],
    [() => device.buffer(2 ** 54, 0, false), /buffer\(.*\): bytes: expected a whole number/],
    [() => device.buffer(4, 2 ** 31, false), /: indexBound: expected a whole number from 0 to 2147483647/],
    [() => file.read(1), /read\(most\): the file is mapped/],
    [() => addon.measureReadBandwidth("avx9", 1, 4096, 1, stop), /: target: expected a target of this machine/],
    [() => addon.measureReadBandwidth("scalar", 2, 4096, 1, stop), /: bytes: expected a page for each thread/],
    [() => addon.measureReadBandwidth("scalar", 1025, 4096, 1, stop), /: threads: expected .* from 1 to 1024/],
    [() => addon.measureReadBandwidth("scalar", 1, 4096, 1, new Int32Array()), /: stop: expected an array of one/],
    [() => addon.measureOperations("avx9", 1, true, stop), /: target: expected a target of this machine/],
    [() => addon.measureOperations("scalar", 1, true, new Int32Array()), /: stop: expected an array of one/],
  ];
  for (const [call, message] of cases) {
    expect(() => callNative(call)).toThrow(
      expect.objectContaining({ code: "ERR_INTERNAL", message: expect.stringMatching(message) }),
    );
  }
});
