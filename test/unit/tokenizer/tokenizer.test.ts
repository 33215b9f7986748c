// What holds for every tokenizer, whatever its file says.
import fc from "fast-check";
import { isQuipuError } from "#quipu/errors.js";
import { loadTokenizer } from "#quipu/tokenizer/load-tokenizer.js";
import type { Tokenizer } from "#quipu/tokenizer/tokenizer.js";
import { processorTime } from "../../processor-time.js";
import { namedTokenizer, TOKENIZER_FILES } from "./tokenizers.js";

const NAMES = ["stories.json", "stories.model", "llama3"];
const runs = { numRuns: process.env.QUIPU_EXHAUSTIVE ? 1000 : 150 };
const text = fc.oneof(
  fc.string({ unit: "grapheme", maxLength: 60 }),
  fc.string({ unit: "binary", maxLength: 60 }),
  fc.stringMatching(/^[ \n\r\t\u0085a'sSſ0-9.<|>é日]{0,80}$/u),
);

describe.each(NAMES)("%s", (name) => {
  let tokenizer: Tokenizer;
  beforeAll(async () => {
    tokenizer = (await namedTokenizer(name))!;
  });

  test("decodes what it encodes", () => {
    fc.assert(
      fc.property(text, (sample) => {
        const whole = sample.toWellFormed();
        const ids = tokenizer.encode(whole);
        expect(tokenizer.decode(ids)).toBe(whole);
        expect(tokenizer.count(whole)).toBe(ids.length);
        const bytes = Buffer.concat(Array.from(ids, (id) => tokenizer.decodeSingleTokenBytes(id)));
        expect(bytes.toString("utf8")).toBe(whole);
      }),
      runs,
    );
  });

  test("streams whole characters that add up to the text", () => {
    fc.assert(
      fc.property(text, (sample) => {
        const whole = sample.toWellFormed();
        const decoder = tokenizer.streamDecoder();
        const pieces = Array.from(tokenizer.encode(whole), (id) => decoder.push(id));
        for (const piece of pieces) expect(piece.isWellFormed()).toBe(true);
        expect(pieces.join("") + decoder.end()).toBe(whole);
      }),
      runs,
    );
  });

  test("a lone surrogate becomes U+FFFD, as in every UTF-8 encoder", () => {
    expect(tokenizer.decode(tokenizer.encode("a\ud800b"))).toBe("a\ufffdb");
  });

  test("control tokens in user text are plain text unless asked for", () => {
    const [control, id] = [...tokenizer.specialTokens][0]!;
    const plain = tokenizer.encode(`x${control}y`);
    expect([...plain]).not.toContain(id);
    expect(tokenizer.decode(plain)).toBe(`x${control}y`);
    expect([...tokenizer.encode(`x${control}y`, { special: true })]).toContain(id);
  });

  test("begins with BOS once, when asked to", () => {
    expect([...tokenizer.encode("a", { bos: true })]).toEqual([tokenizer.bosId, ...tokenizer.encode("a")]);
    expect([...tokenizer.encode("", { bos: true })]).toEqual([tokenizer.bosId]);
  });

  test("bytes that are no text decode to U+FFFD, also in a stream", () => {
    const byte = (value: number) =>
      Array.from({ length: tokenizer.vocabSize }, (_, id) => id).find((id) => {
        const bytes = tokenizer.decodeSingleTokenBytes(id);
        return bytes.length === 1 && bytes[0] === value;
      })!;
    const broken = [byte(0xe6), byte(0x97), byte(0x41)]; // the first two bytes of 日, then A
    expect(tokenizer.decode(broken)).toBe("\ufffdA");
    const decoder = tokenizer.streamDecoder();
    expect(broken.map((id) => decoder.push(id))).toEqual(["", "", "\ufffdA"]);
    decoder.push(byte(0xe6));
    expect(decoder.end()).toBe("\ufffd");
  });

  test("ids outside the vocabulary are refused; in a stream they are padding without text", () => {
    for (const id of [-1, tokenizer.vocabSize, 1.5, Number.NaN]) {
      expect(() => tokenizer.decode([id])).toThrow(expect.objectContaining({ code: "ERR_USAGE" }));
    }
    expect(tokenizer.streamDecoder().push(tokenizer.vocabSize + 5)).toBe("");
  });

  test("a long piece takes time by its length, not by its square", () => {
    const time = (length: number) => {
      const started = process.cpuUsage();
      const ids = tokenizer.encode("xy".repeat(length / 2));
      expect(tokenizer.decode(ids)).toHaveLength(length);
      return processorTime(started);
    };
    time(20_000);
    // The square would take 64 times as long.
    expect(time(160_000)).toBeLessThan(24 * time(20_000) + 200);
  });
});

test("control tokens are left out of decoded text unless asked for", async () => {
  const tokenizer = await loadTokenizer(TOKENIZER_FILES["stories.json"]!);
  const ids = tokenizer.encode("Once", { bos: true });
  expect(tokenizer.decode(ids)).toBe("Once");
  expect(tokenizer.decode(ids, { special: true })).toBe("<|begin_of_text|>Once");
});

test("no tokenizer there is an error that says what is expected", async () => {
  for (const path of ["/nonexistent", "docs"]) {
    const error = await loadTokenizer(path).catch((caught: unknown) => caught);
    expect(isQuipuError(error) && error.code).toBe("ERR_MODEL_NOT_FOUND");
  }
});
