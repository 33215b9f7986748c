// Added tokens with any flags, against a plain search that goes by the words of docs/decisions/0009.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate as eventLoop } from "node:timers/promises";
import fc from "fast-check";
import { loadTokenizer } from "#quipu/tokenizer/load-tokenizer.js";
import type { Tokenizer } from "#quipu/tokenizer/tokenizer.js";
import { TOKENIZER_FILES } from "./tokenizers.js";

interface Added {
  readonly id: number;
  readonly content: string;
  readonly special: boolean;
  readonly single_word: boolean;
  readonly lstrip: boolean;
  readonly rstrip: boolean;
  readonly normalized: boolean;
}

const storyteller = JSON.parse(readFileSync(TOKENIZER_FILES["stories.json"]!, "utf8"));
const dir = mkdtempSync(join(tmpdir(), "quipu-flags-"));
afterAll(() => rmSync(dir, { recursive: true }));

async function withTokens(added_tokens: readonly Added[]): Promise<Tokenizer> {
  const file = { ...storyteller, normalizer: null, added_tokens, post_processor: null };
  writeFileSync(join(dir, "tokenizer.json"), JSON.stringify(file));
  return loadTokenizer(dir);
}

/** A stretch of text, or a token. */
type Part = string | Added;

const WORD = /[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\u200c\u200d]/u;

/** Of all places the leftmost, of tokens there the longest; one that may not be is text, and nothing else is looked for in it. */
function split(text: string, tokens: readonly Added[], special: boolean): Part[] {
  const parts: Part[] = [];
  let done = 0;
  for (let at = 0; at < text.length; ) {
    const here = tokens.filter(({ content }) => text.startsWith(content, at));
    const token = here.toSorted((a, b) => b.content.length - a.content.length)[0];
    if (token === undefined) {
      at++;
      continue;
    }
    let [start, end] = [at, at + token.content.length];
    at = end;
    if (token.special && !special) continue;
    if (
      token.single_word &&
      (WORD.test([...text.slice(0, start)].at(-1) ?? "") || WORD.test([...text.slice(end)][0] ?? ""))
    )
      continue;
    if (token.lstrip) start = Math.max(done, text.slice(0, start).trimEnd().length);
    if (token.rstrip) end = text.length - text.slice(end).trimStart().length;
    parts.push(text.slice(done, start), token);
    done = end;
  }
  return [...parts, text.slice(done)].filter((part) => part !== "");
}

function plainEncode(text: string, tokens: readonly Added[], special: boolean, none: Tokenizer): number[] {
  const first = split(
    text,
    tokens.filter(({ normalized }) => !normalized),
    special,
  );
  const second = first.flatMap((part) =>
    typeof part === "string"
      ? split(
          part,
          tokens.filter(({ normalized }) => normalized),
          special,
        )
      : [part],
  );
  return second.flatMap((part) => (typeof part === "string" ? [...none.encode(part)] : [part.id]));
}

test("any flags, any texts, in streams too", async () => {
  const none = await withTokens([]);
  const content = fc
    .array(fc.constantFrom("a", "b", "_", "é", "<", ">", "1", "a b"), { minLength: 1, maxLength: 4 })
    .map((parts) => parts.join(""));
  const flags = fc.record({
    special: fc.boolean(),
    single_word: fc.boolean(),
    lstrip: fc.boolean(),
    rstrip: fc.boolean(),
    normalized: fc.boolean(),
  });
  const sets = fc
    .uniqueArray(fc.tuple(content, flags), { minLength: 1, maxLength: 8, selector: ([text]) => text })
    .map((list) => list.map(([content, flags], i): Added => ({ id: 3000 + i, content, ...flags })));
  const pieces = ["a", "b", "_", "é", "<", ">", "1", " ", "  ", "\n", "\t ", "\u3000", "word", "-", "\u0301"];
  await fc.assert(
    fc.asyncProperty(sets, fc.infiniteStream(fc.nat(2 ** 20)), async (tokens, numbers) => {
      const tokenizer = await withTokens(tokens);
      const draw = (below: number) => (numbers.next().value as number) % below;
      for (let i = 0; i < 20; i++) {
        const parts = [...pieces, ...tokens.map(({ content }) => content), ...tokens.map(({ content }) => content)];
        const text = Array.from({ length: draw(14) }, () => parts[draw(parts.length)]).join("");
        for (const special of [true, false]) {
          const expected = plainEncode(text, tokens, special, none);
          const ids = [...tokenizer.encode(text, { special })];
          if (ids.join() !== expected.join()) expect({ text, special, ids }).toEqual({ text, special, ids: expected });
          const cut = draw(text.length + 1);
          const streamed: number[] = [];
          for await (const part of tokenizer.encodeStream([text.slice(0, cut), text.slice(cut)], { special })) {
            streamed.push(...part);
          }
          if (streamed.join() !== expected.join())
            expect({ text, cut, special, streamed }).toEqual({ text, cut, special, streamed: expected });
        }
      }
      await eventLoop(); // forgotten tokenizers are freed on the event loop
    }),
    { numRuns: process.env.QUIPU_EXHAUSTIVE ? 500 : 100 },
  );
});
