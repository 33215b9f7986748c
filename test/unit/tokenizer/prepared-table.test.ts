// Prepared tables: used where they are whole and of this very file, made anew where not.
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
import { loadTokenizer } from "#quipu/tokenizer/load-tokenizer.js";
import { cacheFolder, preparedTable } from "#quipu/tokenizer/prepared-table.js";
import { TOKENIZER_FILES } from "./tokenizers.js";

const text = "The quick brown fox, 日本語 и русский!\n";
let dir: string;
let source: string;
let table: string;

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
  expect(existsSync(preparedTable(source, 2 ** 30)!)).toBe(true);
  process.env.QUIPU_CACHE = kept;
  expect(ids[0]!.length).toBeGreaterThan(5);
  expect(ids[1]).toEqual(ids[0]);
});

test("any damage is found, and mended", () => {
  const small = TOKENIZER_FILES["storyteller.json"]!;
  const place = join(dir, "small.tables");
  const loadSmall = () => callNative((addon) => new addon.Vocabulary("tokenizer.json", small, place));
  loadSmall();
  const whole = readFileSync(place);
  const flipped = (at: number) => {
    const bytes = Buffer.from(whole);
    bytes[at]! ^= 0x10;
    return bytes;
  };
  // Magic, version, sizes, byte tokens, the last byte, and places throughout.
  const places = [0, 8, 12, 16, 24, 32, 40, 72, 200, 1104, 1112, whole.length - 1];
  for (let at = 5000; at < whole.length; at += 5_009) places.push(at);
  const damaged = [
    ...places.map(flipped),
    whole.subarray(0, 100),
    whole.subarray(0, -64),
    Buffer.concat([whole, whole]),
    Buffer.alloc(0),
  ];
  for (const bytes of damaged) {
    writeFileSync(place, bytes);
    expect(loadSmall().prepared()).toBe(false);
    expect(Buffer.compare(readFileSync(place), whole)).toBe(0);
  }
  expect(loadSmall().prepared()).toBe(true);
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
