// Prepared tables: used where they are whole and of this very file, made anew where not.
import { spawn, spawnSync } from "node:child_process";
import {
  copyFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { callNative } from "#quipu/addon/addon.js";
import { cachedFiles, cacheFolder } from "#quipu/machine/cache-folder.js";
import { loadTokenizer } from "#quipu/tokenizer/load-tokenizer.js";
import { preparedTable } from "#quipu/tokenizer/prepared-table.js";
import { TOKENIZER_FILES } from "./tokenizers.js";

const text = "The quick brown fox, 日本語 и русский!\n";
let dir: string;
let source: string;
let table: string;

const dist = (file: string) => join(process.cwd(), "dist", `${file}.js`);
const load = () => callNative((addon) => new addon.Vocabulary("tokenizer.json", source, table));

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "quipu-prepared-"));
  source = join(dir, "tokenizer.json");
  table = join(dir, "x.tables");
  copyFileSync(TOKENIZER_FILES.llama3!, source);
});
afterAll(() => rmSync(dir, { recursive: true }));

test("is made once, then used, and gives the same ids", async () => {
  expect(load().prepared()).toBe(false);
  const again = load();
  expect(again.prepared()).toBe(true);
  expect(JSON.parse(again.document())).toMatchObject({ model: { type: "BPE", vocab: {}, merges: [] } });
  expect(readdirSync(dir).sort()).toEqual(["tokenizer.json", "x.tables"]);

  const kept = process.env.QUIPU_CACHE;
  process.env.QUIPU_CACHE = join(dir, "cache");
  const ids: number[][] = [];
  for (let i = 0; i < 2; i++) ids.push([...(await loadTokenizer(source)).encode(text)]);
  const { path, description } = preparedTable(source, 2 ** 30)!;
  expect(existsSync(path)).toBe(true);
  expect(callNative((addon) => addon.describePrepared(path, 1000))).toEqual([
    "merges",
    expect.any(Number),
    description,
  ]);
  expect(JSON.parse(description)).toEqual({
    files: [{ path: source, is: expect.stringMatching(/^\d+:\d+:\d+:\d+$/) }],
  });
  const [{ used } = { used: 0 }] = cachedFiles();
  utimesSync(path, 1, 1);
  await loadTokenizer(source);
  expect(cachedFiles()[0]!.used).toBeGreaterThanOrEqual(used); // it is used again
  process.env.QUIPU_CACHE = kept;
  expect(ids[0]!.length).toBeGreaterThan(5);
  expect(ids[1]).toEqual(ids[0]);
});

describe("a file that is damaged, or of something else, is made anew", () => {
  let tiny: string;
  let place: string;
  let whole: Buffer;
  const loadTiny = () => callNative((addon) => new addon.Vocabulary("tokenizer.json", tiny, place));
  const expectMadeAnew = (bytes: Uint8Array, what: string) => {
    writeFileSync(place, bytes);
    const prepared = loadTiny().prepared();
    if (prepared || !readFileSync(place).equals(whole)) throw new Error(`${what}: ${prepared ? "used" : "not mended"}`);
  };

  beforeAll(() => {
    tiny = join(dir, "tiny.json");
    place = join(dir, "tiny.tables");
    writeFileSync(tiny, JSON.stringify({ model: { type: "BPE", vocab: { a: 0, b: 1, ab: 2 }, merges: ["a b"] } }));
    loadTiny();
    whole = readFileSync(place);
    expect(loadTiny().prepared()).toBe(true);
  });

  // Every truncation and every byte: test/native/prepared_file_test.cc.
  test("what is cut short or too long", () => {
    for (const length of [0, 1, 79, 80, 255, 256, 257, whole.length - 64, whole.length - 1]) {
      expectMadeAnew(whole.subarray(0, length), `${length} bytes`);
    }
    for (const more of [1, 64, whole.length])
      expectMadeAnew(Buffer.concat([whole, Buffer.alloc(more)]), `${more} more`);
  });

  test("a bit flipped in any of its parts", () => {
    for (let at = 0; at < whole.length; at += 29) {
      const bytes = Buffer.from(whole);
      bytes[at]! ^= 1 << (at % 8);
      expectMadeAnew(bytes, `byte ${at}`);
    }
  });

  // The form of the file: native/core/prepared_file.h.
  const [KIND, VERSION, SECTIONS, SOURCE, BYTES, CHECKSUM, TABLE] = [8, 24, 28, 32, 64, 72, 80];
  const WORD = 2n ** 64n - 1n;
  const mixed = (a: bigint, b: bigint) => {
    const product = (a ^ 0x9e3779b97f4a7c15n) * (b ^ 0xe7037ed1a0b428dbn);
    return (product & WORD) ^ (product >> 64n);
  };
  const sumOf = (bytes: Buffer) => {
    const sums = [1n, 2n, 3n, 4n];
    for (let at = 0; at < bytes.length; at += 64) {
      for (let i = 0; i < 4; i++) {
        const [left, right] = [bytes.readBigUInt64LE(at + 16 * i), bytes.readBigUInt64LE(at + 16 * i + 8)];
        sums[i] = mixed(left ^ sums[i]!, right);
      }
    }
    return mixed(mixed(sums[0]!, sums[1]!), mixed(sums[2]!, sums[3]!));
  };
  /** Of a section of up to one block: that of the list of its blocks' sums. */
  const checksum = (bytes: Buffer) => {
    const sums = Buffer.alloc(bytes.length === 0 ? 0 : 64);
    if (bytes.length > 0) sums.writeBigUInt64LE(sumOf(bytes));
    return sumOf(sums);
  };
  /** The tables come after the description, which is empty here. */
  const SUMMARY = TABLE + 16;
  const start = () => 64 * Math.ceil((TABLE + 16 * whole.readUInt32LE(SECTIONS)) / 64);
  /** The file with a change, and with checksums that fit: of the first of the tables and of the head. */
  const changed = (change: (bytes: Buffer) => void, base = whole) => {
    const bytes = Buffer.from(base);
    change(bytes);
    const first = bytes.readBigUInt64LE(SUMMARY);
    if (first < bytes.length - start()) {
      const end = start() + 64 * Math.ceil(Number(first) / 64);
      bytes.writeBigUInt64LE(checksum(bytes.subarray(start(), end)), SUMMARY + 8);
    }
    bytes.writeBigUInt64LE(0n, CHECKSUM);
    bytes.writeBigUInt64LE(sumOf(bytes.subarray(0, start())), CHECKSUM);
    return bytes;
  };

  test("whatever its header says, with checksums that fit", () => {
    expect(changed(() => {}).equals(whole)).toBe(true);
    const lies: Record<string, (bytes: Buffer) => void> = {
      magic: (bytes) => bytes.write("quipuprf"),
      "another kind": (bytes) => bytes.write("ranks\0", KIND),
      "a longer kind": (bytes) => bytes.write("merges2", KIND),
      version: (bytes) => bytes.writeUInt32LE(bytes.readUInt32LE(VERSION) + 1, VERSION),
      "an older version": (bytes) => bytes.writeUInt32LE(bytes.readUInt32LE(VERSION) - 1, VERSION),
      "fewer sections": (bytes) => bytes.writeUInt32LE(bytes.readUInt32LE(SECTIONS) - 1, SECTIONS),
      "more bytes": (bytes) => bytes.writeBigUInt64LE(BigInt(bytes.length + 64), BYTES),
      "what is behind the table": (bytes) => (bytes[start() - 1] = 1),
    };
    for (let i = 0; i < 4; i++) lies[`source ${i}`] = (bytes) => (bytes[SOURCE + 8 * i]! ^= 1);
    for (let section = 0; section < whole.readUInt32LE(SECTIONS); section++) {
      const at = TABLE + 16 * section;
      const bytesOf = whole.readBigUInt64LE(at);
      for (const size of [
        bytesOf + 64n,
        bytesOf + 1n,
        bytesOf - 1n,
        0n,
        BigInt(whole.length),
        2n ** 63n,
        WORD - 62n,
        WORD,
      ]) {
        if (size === bytesOf || size < 0n) continue;
        if (section === 8 && size / 64n === bytesOf / 64n) continue; // the document may have any length
        lies[`section ${section} of ${size} bytes`] = (bytes) => bytes.writeBigUInt64LE(size, at);
      }
    }
    for (const [what, lie] of Object.entries(lies)) expectMadeAnew(changed(lie), what);

    const resized = (bytes: Buffer) => bytes.writeBigUInt64LE(BigInt(bytes.length), BYTES);
    expectMadeAnew(changed(resized, Buffer.concat([whole, Buffer.alloc(64)])), "more behind the last section");
    const last = TABLE + 16 * (whole.readUInt32LE(SECTIONS) - 1);
    const without = whole.length - 64 * Math.ceil(Number(whole.readBigUInt64LE(last)) / 64);
    const wrapping = changed(
      (bytes) => {
        resized(bytes);
        bytes.writeBigUInt64LE(WORD, last); // rounded up, 0
        bytes.writeBigUInt64LE(checksum(Buffer.alloc(0)), last + 8);
      },
      whole.subarray(0, without),
    );
    expectMadeAnew(wrapping, "a last section of nearly 2^64 bytes");
  });

  test("whatever its tables say of their sizes, with checksums that fit", () => {
    const [SUMMARY_KIND, VOCABULARY, TOKENS, UNIT] = [0, 4, 8, 12];
    for (const at of [SUMMARY_KIND, VOCABULARY, TOKENS, UNIT]) {
      const said = whole.readUInt32LE(start() + at);
      for (const other of [said + (at === UNIT ? 2 : 1), said - 1, 2 ** 24, 2 ** 31, 2 ** 32 - 1]) {
        if (other < 0 || (at === UNIT && other < 2)) continue;
        expectMadeAnew(
          changed((bytes) => bytes.writeUInt32LE(other, start() + at)),
          `${other} at ${at}`,
        );
      }
    }
  });
});

test("a file that has changed is read again, and no other format uses the table", () => {
  load();
  utimesSync(source, 1, 1);
  expect(load().prepared()).toBe(false);
  expect(load().prepared()).toBe(true);
  expect(() => callNative((addon) => new addon.Vocabulary("ranks", source, table))).toThrow(
    expect.objectContaining({ code: "ERR_TOKENIZER_INVALID" }),
  );
});

test("processes that make one at once all have it whole, and leave nothing else", async () => {
  const cache = join(dir, "shared");
  const script = `
    import { rmSync } from "node:fs";
    import { loadTokenizer } from ${JSON.stringify(dist("tokenizer/load-tokenizer"))};
    import { preparedTable } from ${JSON.stringify(dist("tokenizer/prepared-table"))};
    const source = ${JSON.stringify(source)};
    for (let i = 0; i < 12; i++) {
      if (i % 3 === 2) rmSync(preparedTable(source, 2 ** 30).path, { force: true });
      console.log([...(await loadTokenizer(source)).encode(${JSON.stringify(text)})].join());
    }`;
  const run = () =>
    new Promise<string>((resolve, reject) => {
      const child = spawn(process.execPath, ["--input-type=module", "-e", script], {
        env: { ...process.env, QUIPU_CACHE: cache },
        stdio: ["ignore", "pipe", "inherit"],
      });
      let output = "";
      child.stdout.on("data", (data) => (output += data));
      child.on("close", (status) => (status === 0 ? resolve(output) : reject(new Error(`exit status ${status}`))));
    });
  const ids = [...(await loadTokenizer(source)).encode(text)].join();
  const outputs = await Promise.all([run(), run(), run()]);
  for (const output of outputs) expect(output).toBe(`${ids}\n`.repeat(12));
  expect(readdirSync(join(cache, "tokenizers"))).toHaveLength(1);
});

test("a disk that is full is no error, and nothing is left there", () => {
  const cache = join(dir, "full");
  const script = `
    import { loadTokenizer } from ${JSON.stringify(dist("tokenizer/load-tokenizer"))};
    console.log((await loadTokenizer(${JSON.stringify(source)})).encode("a").length);`;
  // No file may be larger than 1 MiB, the table is 16.
  const command = `ulimit -f 1024; exec "$0" --input-type=module -e "$1"`;
  const { status, stdout, stderr } = spawnSync("bash", ["-c", command, process.execPath, script], {
    encoding: "utf8",
    env: { ...process.env, QUIPU_CACHE: cache },
  });
  expect([status, stderr, stdout]).toEqual([0, "", "1\n"]);
  expect(readdirSync(join(cache, "tokenizers"))).toEqual([]);
});

test("a folder that cannot be written is no error", () => {
  table = join(dir, "tokenizer.json", "x.tables");
  expect(load().problem()).toBe("");
  const { QUIPU_CACHE, XDG_CACHE_HOME } = process.env;
  process.env.QUIPU_CACHE = join(dir, "tokenizer.json");
  expect(preparedTable(source, 2 ** 30)).toBeNull();
  delete process.env.QUIPU_CACHE;
  process.env.XDG_CACHE_HOME = "/x";
  expect(cacheFolder()).toBe("/x/quipu");
  process.env.QUIPU_CACHE = QUIPU_CACHE;
  if (XDG_CACHE_HOME === undefined) delete process.env.XDG_CACHE_HOME;
  else process.env.XDG_CACHE_HOME = XDG_CACHE_HOME;
  expect(preparedTable(source, 1000)).toBeNull();
});
