import { mkdtempSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ChatTemplate } from "#quipu/chat/template.js";
import type { JsonObject } from "#quipu/checkpoint/json.js";
import { resolveStopIds, stopTokensOf } from "#quipu/generate/stop-tokens.js";
import { parseConfig } from "#quipu/model/config.js";
import { parseGenerationConfig } from "#quipu/model/generation-config.js";
import type { Tokenizer } from "#quipu/tokenizer/tokenizer.js";
import { readEosTokens } from "#quipu/tokenizer/tokenizer-config.js";
import { TINY_CONFIG, temporaryFolder } from "../../checkpoint-writer.js";

const root = temporaryFolder();
const SPECIAL = [
  "<s>",
  "</s>",
  "<|im_start|>",
  "<|im_end|>",
  "<|eot_id|>",
  "<|user|>",
  "<|end|>",
  "<end_of_turn>",
  "<|e",
];
/** One whose special tokens have the ids 0, 1, …; the ordinary token "stop" is 20, and all else is two tokens. */
const tokenizer = {
  ...{ vocabSize: 30, bosId: 0, specialTokens: new Map(SPECIAL.map((text, id) => [text, id])) },
  encode: (text: string) => Int32Array.from(text === "stop" ? [20] : [21, 22]),
  decodeSingleTokenBytes: (id: number) => Buffer.from(SPECIAL[id] ?? "stop"),
} as unknown as Tokenizer;

async function stopsOf({ config = {}, generation = {}, template, files = {} }: Sources, withTokenizer = true) {
  const dir = mkdtempSync(join(root, "stops-"));
  for (const [name, json] of Object.entries(files)) writeFileSync(join(dir, name), JSON.stringify(json));
  const parsed = parseConfig({ ...TINY_CONFIG, eos_token_id: null, ...config });
  const ignored: string[] = [];
  const parts = {
    config: parsed,
    generationConfig: parseGenerationConfig(generation, parsed),
    eosTokens: await readEosTokens(dir),
    tokenizer: withTokenizer ? tokenizer : undefined,
    chatTemplate:
      template === undefined ? undefined : new ChatTemplate(template, { bos_token: "<s>", eos_token: "</s>" }, "x"),
  };
  const tokens = stopTokensOf(parts, (_code, message) => ignored.push(message));
  return { tokens, ignored };
}
interface Sources {
  readonly config?: JsonObject;
  readonly generation?: JsonObject;
  readonly template?: string;
  readonly files?: Readonly<Record<string, object>>;
}

test("nothing names a token", async () => {
  expect(await stopsOf({})).toEqual({ tokens: [], ignored: [] });
});

test("every source counts, each id once with all that name it", async () => {
  const { tokens } = await stopsOf({
    config: { eos_token_id: [1, 4] },
    generation: { eos_token_id: 4 },
    files: {
      "tokenizer_config.json": { eos_token: { content: "<|im_end|>" } },
      "special_tokens_map.json": { eos_token: "</s>" },
    },
    template: "{% for m in messages %}{{ m.content }}<|end|>{% endfor %}",
  });
  expect(tokens).toEqual([
    { id: 1, text: "</s>", sources: ["config.json", "special_tokens_map.json"] },
    { id: 4, text: "<|eot_id|>", sources: ["config.json", "generation_config.json"] },
    { id: 3, text: "<|im_end|>", sources: ["tokenizer_config.json"] },
    { id: 6, text: "<|end|>", sources: ["chat template"] },
  ]);
});

test("without a tokenizer ids have no text, and texts no id", async () => {
  const files = { "tokenizer_config.json": { eos_token: "</s>" } };
  expect(await stopsOf({ config: { eos_token_id: 4 }, files }, false)).toEqual({
    tokens: [{ id: 4, text: "", sources: ["config.json"] }],
    ignored: [],
  });
});

test("an eos_token may be an ordinary token; one that is none is ignored, and said", async () => {
  expect((await stopsOf({ files: { "special_tokens_map.json": { eos_token: "stop" } } })).tokens).toMatchObject([
    { id: 20 },
  ]);
  expect(await stopsOf({ files: { "tokenizer_config.json": { eos_token: "<|gone|>" } } })).toEqual({
    tokens: [],
    ignored: ['tokenizer_config.json: eos_token "<|gone|>" is no token of the model: it is ignored'],
  });
});

describe("a template's end of turn", () => {
  const turns = (body: string) => `{% for m in messages %}${body}{% endfor %}`;
  test.each<[string, string, string | undefined]>([
    ["ChatML", turns("<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n"), "<|im_end|>"],
    ["Llama 3", turns("<|im_start|>{{ m.role }}\n\n{{ m.content | trim }}<|eot_id|>"), "<|eot_id|>"],
    [
      "Llama 2, with a space",
      turns(
        "{% if m.role == 'user' %}{{ bos_token }}[INST] {{ m.content }} [/INST]{% else %} {{ m.content }} {{ eos_token }}{% endif %}",
      ),
      "</s>",
    ],
    ["Gemma", turns("<|im_start|>{{ m.role }}\n{{ m.content | trim }}<end_of_turn>\n"), "<end_of_turn>"],
    ["GLM 4, where the next turn's header ends this one", turns("<|{{ m.role }}|>\n{{ m.content }}"), "<|user|>"],
    ["the longest of the tokens that fit", turns("{{ m.content }}<|end|>"), "<|end|>"],
    ["begin-of-text, which ends nothing", turns("{{ bos_token }}{{ m.role }}: {{ m.content }}\n"), undefined],
    ["plain text", turns("{{ m.role }}: {{ m.content }}\n"), undefined],
    ["a text before the token", turns("{{ m.content }} END <|end|>"), undefined],
    ["one that leaves the answer out", "{{ messages[0].content }}<|end|>", undefined],
    [
      "one that takes longer than a load may",
      `{% for i in range(1000) %}{% for j in range(1000) %}{% endfor %}{% endfor %}${turns("{{ m.content }}<|end|>")}`,
      undefined,
    ],
    ["one that refuses it", "{{ raise_exception('no') }}", undefined],
  ])("%s", async (_, template, text) => {
    const { tokens } = await stopsOf({ template });
    expect(tokens.map((token) => token.text)).toEqual(text === undefined ? [] : [text]);
  });
});

describe("stopIds", () => {
  test("are ids or texts of special tokens", () => {
    expect(resolveStopIds([5, "<|im_end|>", 29], tokenizer, 30)).toEqual([5, 3, 29]);
    expect(resolveStopIds([29], undefined, 30)).toEqual([29]);
  });

  test.each<[number | string, Tokenizer | undefined, RegExp]>([
    [30, tokenizer, /expected ids from 0 to 29, got 30$/],
    ["stop", tokenizer, /expected a special token \(<s>, .*\), got "stop"$/],
    ["</s>", undefined, /needs a tokenizer/],
  ])("%p is refused", (wanted, by, message) => {
    expect(() => resolveStopIds([wanted], by, 30)).toThrow(
      expect.objectContaining({ code: "ERR_USAGE", option: "stopIds", message: expect.stringMatching(message) }),
    );
  });
});

test("what moves a terminal's cursor is escaped in an error", () => {
  const hostile = { specialTokens: new Map([["\x1b[2J", 1]]) } as unknown as Tokenizer;
  expect(() => resolveStopIds(["x"], hostile, 10)).toThrow("expected a special token (\\u001b[2J)");
});
