// What does nothing, or says in other words what is known, loads with tokenizers' ids; what is not known is refused by name.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isQuipuError } from "#quipu/errors.js";
import { loadTokenizer } from "#quipu/tokenizer/load-tokenizer.js";
import { TOKENIZER_FILES } from "./tokenizers.js";

type Changes = { readonly [part: string]: unknown; readonly model?: object };
const golden: { texts: string[]; cases: [Changes, must: boolean, ids: (number[] | null)[] | null][] } = JSON.parse(
  readFileSync("test/reference/spellings.golden.json", "utf8"),
);
const storyteller = JSON.parse(readFileSync(TOKENIZER_FILES["stories.json"]!, "utf8"));
const dir = mkdtempSync(join(tmpdir(), "quipu-spellings-"));
afterAll(() => rmSync(dir, { recursive: true }));

const named = golden.cases.map(
  ([changes, ...rest]) => [JSON.stringify(changes).slice(0, 160), changes, ...rest] as const,
);

test.each(named)("%s", async (_, changes, must, expected) => {
  const file = { ...storyteller, ...changes, model: { ...storyteller.model, ...changes.model } };
  writeFileSync(join(dir, "tokenizer.json"), JSON.stringify(file));
  const loaded = await loadTokenizer(dir).catch((error: unknown) => error);
  if (isQuipuError(loaded)) {
    expect(loaded).toMatchObject({ code: "ERR_TOKENIZER_INVALID" });
    const [part] = Object.keys(changes);
    expect(loaded.message).toContain(part === "model" ? `model.${Object.keys(changes.model!)[0]}` : part);
    expect(must).toBe(false);
    return;
  }
  const tokenizer = loaded as Awaited<ReturnType<typeof loadTokenizer>>;
  for (const [i, text] of golden.texts.entries()) {
    const ids = expected![i];
    if (ids === null) continue; // tokenizers panics
    expect({ text, ids: [...tokenizer.encode(text)] }).toEqual({ text, ids });
    const streamed: number[] = [];
    for await (const part of tokenizer.encodeStream([...Buffer.from(text)].map((byte) => Uint8Array.of(byte))))
      streamed.push(...part);
    expect({ text, streamed }).toEqual({ text, streamed: ids });
    expect(tokenizer.count(text)).toBe(ids!.length);
  }
});
