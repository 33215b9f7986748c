// The engine's machines cut as the patterns do that they stand for, by their translation (split-patterns.test.ts holds that against
// tokenizers, and scripts/prove-tokenizer.sh the machines).
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { loadTokenizer } from "#quipu/tokenizer/load-tokenizer.js";
import { parsePreTokenizer } from "#quipu/tokenizer/pre-tokenizer.js";
import {
  DEEPSEEK_V2_PATTERNS,
  DEEPSEEK_V3_PATTERNS,
  ENGINE_PATTERN,
  GPT2_PATTERN,
  LLAMA3_PATTERN,
  O200K_PATTERN,
  QWEN2_PATTERN,
  QWEN35_PATTERN,
  TEKKEN_PATTERN,
} from "#quipu/tokenizer/published-patterns.js";
import type { Tokenizer } from "#quipu/tokenizer/tokenizer.js";
import { propertyNamed } from "#quipu/tokenizer/unicode-properties.js";
import { processorTime } from "../../processor-time.js";
import { isolated, NO_CUT, pairTokenizer } from "./pair-vocabulary.js";

const exhaustive = process.env.QUIPU_EXHAUSTIVE !== undefined;
const DIGITS = { type: "Digits", individual_digits: true };

const STEPS: Readonly<Record<Exclude<keyof typeof ENGINE_PATTERN, "cl100k">, readonly object[]>> = {
  llama3: [isolated(LLAMA3_PATTERN)],
  o200k: [isolated(O200K_PATTERN)],
  gpt2: [isolated(GPT2_PATTERN)],
  gpt2Digits: [DIGITS, isolated(GPT2_PATTERN)],
  qwen2: [isolated(QWEN2_PATTERN)],
  qwen35: [isolated(QWEN35_PATTERN)],
  tekken: [isolated(TEKKEN_PATTERN)],
  deepSeekV2: [...DEEPSEEK_V2_PATTERNS.map(isolated), DIGITS],
  deepSeekV3: DEEPSEEK_V3_PATTERNS.map(isolated),
};
const NAMES = Object.keys(STEPS) as (keyof typeof STEPS)[];

const CATEGORIES = "Lu Ll Lt Lm Lo Mn Mc Me Nd Nl No Pc Pd Ps Pe Pi Pf Po Sm Sc Sk So Zs Zl Zp Cc Cf Co Cn".split(" ");
/** First and last of every range of a category, and of the ranges that the patterns list themselves. */
const BOUNDARIES = [
  ...CATEGORIES.flatMap((name) => propertyNamed(name)!.ranges.flat()),
  ...[0x0800, 0x3040, 0x30ff, 0x4e00, 0x9fa5, 0xac00, 0xd7ff, 0x2018, 0x201f, 0x3000, 0x3002],
  ...[0xff01, 0xff0f, 0xff1a, 0xff5e, 0x1f5f, 0x1f7d, 0x10400, 0x1e943],
]
  .flatMap((code) => [code - 1, code, code + 1])
  .filter((code) => code >= 0 && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff))
  .map((code) => String.fromCodePoint(code));

const PARTS = [
  ..." \n\r\t'sSdDtTmMrReEvVlL/.!,-_09aAzZ",
  ..."\u0085\u00a0\u2003\u3000\u200d\ufeff\u017f\u0301\u0308\u20e3éÉßǅʰ日本語かな・ーカ。，「Жж한글½²٣Ⅷ①\0\x1c\ue000",
  ...[
    "  ",
    "\r\n",
    " \n",
    "😀",
    "👨‍👩‍👧",
    "𝐀",
    "𐐀",
    "123",
    "1234",
    "'ll",
    "'RE",
    "camelCase",
    "café",
    "\u3000\u3000",
    "ｆｕｌｌ",
  ],
];
const text = fc
  .array(fc.oneof({ weight: 3, arbitrary: fc.constantFrom(...PARTS) }, fc.constantFrom(...BOUNDARIES)), {
    maxLength: 40,
  })
  .map((parts) => parts.join(""));

async function streamed(tokenizer: Tokenizer, chunks: readonly (string | Uint8Array)[]): Promise<number[]> {
  const ids: number[] = [];
  for await (const part of tokenizer.encodeStream(chunks)) ids.push(...part);
  return ids;
}

describe.each(NAMES)("%s", (name) => {
  let machine: Tokenizer;
  let translation: Tokenizer;
  beforeAll(async () => {
    const dir = mkdtempSync(join(tmpdir(), "quipu-machine-"));
    const load = (steps: readonly object[]) => {
      writeFileSync(join(dir, "tokenizer.json"), pairTokenizer(steps));
      return loadTokenizer(dir);
    };
    machine = await load(STEPS[name]);
    translation = await load([NO_CUT, ...STEPS[name]]);
    rmSync(dir, { recursive: true });
  });

  const expectSame = (sample: string) => {
    const [ids, expected] = [[...machine.encode(sample)], [...translation.encode(sample)]];
    if (ids.join() !== expected.join()) expect({ sample, ids }).toEqual({ sample, ids: expected });
    return expected;
  };

  test("is a machine of the engine", () => {
    const bytes = { type: "ByteLevel", add_prefix_space: false, use_regex: false };
    const plain = { hasSpaces: true, keepsBeginning: true };
    const piecesOf = (list: readonly object[]) =>
      parsePreTokenizer({ type: "Sequence", pretokenizers: [...list, bytes] }, "tokenizer.json", plain).pieces;
    expect(piecesOf(STEPS[name])).toBe(ENGINE_PATTERN[name]);
    expect(piecesOf([NO_CUT, ...STEPS[name]])).toBeInstanceOf(Function);
    // Line breaks as they are, for those that are spelled as such.
    const spelled = JSON.parse(JSON.stringify(STEPS[name]).replaceAll("\\\\r", "\\r").replaceAll("\\\\n", "\\n"));
    expect(piecesOf(spelled)).toBe(ENGINE_PATTERN[name]);
    // Removed and inverted keeps the matches alone.
    const kept = STEPS[name].map((step) => ("pattern" in step ? { ...step, behavior: "Removed", invert: true } : step));
    const covers = !name.startsWith("deepSeek");
    expect(piecesOf(kept) === ENGINE_PATTERN[name]).toBe(covers);
  });

  test("cuts any text as its pattern does, in a stream too", async () => {
    await fc.assert(
      fc.asyncProperty(text, fc.nat(), async (sample, cut) => {
        const expected = expectSame(sample);
        const at = cut % (sample.length + 1);
        expect(await streamed(machine, [sample.slice(0, at), sample.slice(at)])).toEqual(expected);
      }),
      { numRuns: exhaustive ? 2000 : 600 },
    );
  });

  test("cuts at the boundaries of every class as its pattern does", () => {
    const characters = exhaustive ? everyCharacter() : new Set(BOUNDARIES);
    let together = "";
    for (const c of characters) {
      together += `a${c}b ${c}${c}9'${c}s \n${c}。${c}日${c} 1`;
      if (together.length < 4096) continue;
      expectSame(together);
      together = "";
    }
    expectSame(together);
  });

  test("symbols that end a run of the script before them", () => {
    for (const c of ["・", "゠", "゛", "。", "_", "a", "\u3099"]) {
      for (const after of ["\r\n", "\n\n", "!\n", " \n", "  a"]) {
        expectSame(`${c}${after}`);
        expectSame(`日${c}${after}`);
        expectSame(`${c}日${after}`);
        expectSame(`1${c}${c}${after}1`);
      }
    }
  });

  test("white space that is of a set of symbols, too, among other white space", () => {
    for (const before of ["", "ب", "a", "日", "1", "."]) {
      for (const space of ["", " ", "  ", "\t "]) {
        for (const after of ["a", "ب", "é", ".", "日", "1", " ", ""]) {
          expectSame(`${before}${space}\u3000${after}`);
          expectSame(`${before}${space}\u3000\u3000${after}`);
        }
      }
    }
  });

  test("long streams byte by byte", async () => {
    const sample = fc.sample(text, { numRuns: 60, seed: 5 }).join("");
    const bytes = Array.from(Buffer.from(sample), (byte) => Uint8Array.of(byte));
    expect(await streamed(machine, bytes)).toEqual(expectSame(sample));
  });

  test("takes time by the length of a text", () => {
    for (const unit of ["a", " ", "\0", "\ue000", "日", "・", "1", "é", "\u0301", " \n", "Aa", "　", "» ", "_"]) {
      const milliseconds = (bytes: number) => {
        const run = unit.repeat(bytes / Buffer.byteLength(unit));
        const started = process.cpuUsage();
        machine.count(run);
        return processorTime(started);
      };
      milliseconds(2 ** 14);
      // The square would take 256 times as long.
      expect([unit, milliseconds(2 ** 21) < 64 * milliseconds(2 ** 17) + 200]).toEqual([unit, true]);
    }
  });
});

function* everyCharacter(): Iterable<string> {
  for (let code = 0; code <= 0x10ffff; code++) {
    // Planes without characters look alike.
    if (code === 0x20000) code = 0x2a600;
    if (code === 0x32400) code = 0xe0000;
    if (code === 0xe0200) code = 0x10fff0;
    if (code < 0xd800 || code > 0xdfff) yield String.fromCodePoint(code);
  }
}
