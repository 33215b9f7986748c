// Where checkpoints keep their chat templates, and which of them renders.
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ChatOptions } from "#quipu/chat/message.js";
import { ChatTemplate } from "#quipu/chat/template.js";
import { loadChatTemplate } from "#quipu/chat/template-files.js";
import { present, SHARED } from "../tokenizer/tokenizers.js";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "quipu-template-"));
});
afterEach(() => rmSync(dir, { recursive: true }));

const write = (name: string, text: string) => writeFileSync(join(dir, name), text);
const config = (value: object) => write("tokenizer_config.json", JSON.stringify(value));
const additional = (files: Record<string, string>) => {
  mkdirSync(join(dir, "additional_chat_templates"));
  for (const [name, text] of Object.entries(files)) write(`additional_chat_templates/${name}`, text);
};
const messages = [{ role: "user", content: "x" }];
const fails = (code: string, message: string) =>
  expect.objectContaining({ code, message: expect.stringContaining(message) });

test("without a template", async () => {
  config({ bos_token: "<s>" });
  const template = await loadChatTemplate(dir);
  expect(template.names).toEqual([]);
  expect(() => template.render(messages)).toThrow(fails("ERR_USAGE", "has no chat template"));
  expect(template.render(messages, { chatTemplate: "{{ bos_token }}{{ messages[0].content }}" })).toBe("<s>x");
});

test("without any file", async () => {
  expect((await loadChatTemplate(dir)).names).toEqual([]);
});

test("no folder", async () => {
  await expect(loadChatTemplate(join(dir, "none"))).rejects.toMatchObject(
    fails("ERR_MODEL_NOT_FOUND", "no such folder"),
  );
});

test("of a repository in the hub's cache", async () => {
  const snapshot = join(dir, "models--org--name", "snapshots", "c0ffee");
  mkdirSync(snapshot, { recursive: true });
  writeFileSync(join(snapshot, "tokenizer_config.json"), '{"chat_template": "d"}');
  const told: string[] = [];
  const template = await loadChatTemplate(join(dir, "models--org--name"), (code) => told.push(code));
  expect(template.render(messages)).toBe("d");
  expect(told).toEqual(["WARN_SNAPSHOT_CHOSEN"]);
});

test("names twice: the last counts, as in transformers", async () => {
  write("tokenizer_config.json", '{"chat_template": "a", "chat_template": "b"}');
  write("special_tokens_map.json", '{"bos_token": "1", "bos_token": "2"}');
  const told: string[] = [];
  const template = await loadChatTemplate(dir, (code, message) => told.push(`${code} ${message.split(":")[0]}`));
  expect(template.render(messages)).toBe("b");
  expect(template.render(messages, { chatTemplate: "{{ bos_token }}" })).toBe("2");
  expect(told).toEqual(["WARN_JSON_NAME_TWICE tokenizer_config.json", "WARN_JSON_NAME_TWICE special_tokens_map.json"]);
});

test("one in tokenizer_config.json", async () => {
  config({ chat_template: "d" });
  expect((await loadChatTemplate(dir)).render(messages)).toBe("d");
});

describe.each([
  [
    "a list",
    [
      { name: "default", template: "d" },
      { name: "tool_use", template: "t{# tools #}" },
      { name: "rag", template: "r{# tools #}" },
    ],
  ],
  ["an object", { default: "d", tool_use: "t{# tools #}", rag: "r{# tools #}" }],
])("several in tokenizer_config.json: %s", (_, value) => {
  test.each([
    [{}, "d"],
    [{ tools: [{}] }, "t"],
    [{ tools: [] }, "t"],
    [{ chatTemplate: "rag" }, "r"],
    [{ chatTemplate: "rag", tools: [{}] }, "r"],
    [{ chatTemplate: "own {{ messages | length }}" }, "own 1"],
  ])("%j renders %j", async (options, text) => {
    config({ chat_template: value });
    const template = await loadChatTemplate(dir);
    expect(template.names).toEqual(["default", "tool_use", "rag"]);
    expect(template.render(messages, options)).toBe(text);
  });

  test("a name that is none", async () => {
    config({ chat_template: value });
    const template = await loadChatTemplate(dir);
    expect(() => template.render(messages, { chatTemplate: "tools" })).toThrow(
      fails("ERR_USAGE", "default, tool_use, rag"),
    );
  });
});

test("several and no default: named or refused", async () => {
  config({
    chat_template: [
      { name: "rag", template: "r{# tools #}" },
      { name: "tool_use", template: "t{# tools #}" },
    ],
  });
  const template = await loadChatTemplate(dir);
  expect(() => template.render(messages)).toThrow(fails("ERR_USAGE", "rag, tool_use, and none is named default"));
  expect(template.render(messages, { tools: [] })).toBe("t");
  expect(template.render(messages, { chatTemplate: "rag" })).toBe("r");
});

test("files of their own take the place of all in tokenizer_config.json", async () => {
  config({
    chat_template: [
      { name: "default", template: "d" },
      { name: "tool_use", template: "t{# tools #}" },
    ],
  });
  write("chat_template.jinja", "j");
  expect((await loadChatTemplate(dir)).render(messages, { tools: [] })).toBe("j");
  additional({ "tool_use.jinja": "u", "rag.jinja": "r", "README.md": "none" });
  const template = await loadChatTemplate(dir);
  expect(template.names).toEqual(["default", "rag", "tool_use"]);
  expect(template.render(messages, { tools: [] })).toBe("u");
});

test("additional templates alone: those of tokenizer_config.json are not read, as in transformers", async () => {
  config({ chat_template: "d" });
  additional({ "rag.jinja": "r" });
  const template = await loadChatTemplate(dir);
  expect(template.names).toEqual(["rag"]);
  expect(() => template.render(messages)).toThrow(fails("ERR_USAGE", "none is named default"));
});

test("chat_template.json, where there is no other", async () => {
  write("chat_template.json", JSON.stringify({ chat_template: "legacy" }));
  expect((await loadChatTemplate(dir)).render(messages)).toBe("legacy");
  config({ chat_template: "d" });
  expect((await loadChatTemplate(dir)).render(messages)).toBe("d");
});

test("a template is parsed when it is used", async () => {
  config({ chat_template: "{% for %}" });
  const template = await loadChatTemplate(dir);
  expect(() => template.render(messages)).toThrow(fails("ERR_CHAT_TEMPLATE", "cannot be parsed"));
  expect(template.render(messages, { chatTemplate: "{{ 1 }}" })).toBe("1");
});

test.each([
  ["a number", 5],
  ["a list of texts", ["d"]],
  ["a list without templates", [{ name: "default" }]],
  ["an object of numbers", { default: 1 }],
])("tokenizer_config.json: chat_template is %s", async (_, value) => {
  config({ chat_template: value });
  await expect(loadChatTemplate(dir)).rejects.toMatchObject(
    fails("ERR_CHAT_TEMPLATE", "tokenizer_config.json: chat_template"),
  );
});

describe("files that cannot be read are no missing files", () => {
  test.each([
    ["a dangling link", () => symlinkSync("nowhere", join(dir, "chat_template.jinja"))],
    ["a folder", () => mkdirSync(join(dir, "chat_template.jinja"))],
    ["a device", () => symlinkSync("/dev/zero", join(dir, "chat_template.jinja"))],
    ["a file whose read fails", () => symlinkSync("/proc/self/mem", join(dir, "chat_template.jinja"))],
    ["bytes that are no UTF-8", () => writeFileSync(join(dir, "chat_template.jinja"), Buffer.from([0x7b, 0xff]))],
  ])("%s", async (_, make) => {
    config({ chat_template: "d" });
    make();
    await expect(loadChatTemplate(dir)).rejects.toMatchObject(fails("ERR_CHAT_TEMPLATE", "chat_template.jinja"));
  });
});

describe("special tokens", () => {
  const show =
    "{{ bos_token }} {{ cls_token }} {{ image_token }} {{ boi }} {{ eos_token is defined }} {{ add_bos_token }}";
  const rendered = async () => (await loadChatTemplate(dir)).render(messages, { chatTemplate: show });

  test("by all names that transformers gives them", async () => {
    config({
      ...{ bos_token: { content: "<s>" }, cls_token: "[C]", image_token: "<i>", eos_token: null, add_bos_token: true },
      extra_special_tokens: { boi: "<b>" },
    });
    expect(await rendered()).toBe("<s> [C] <i> <b> False ");
  });

  test("of special_tokens_map.json, where tokenizer_config.json lists no added tokens", async () => {
    config({ bos_token: "<s>" });
    write("special_tokens_map.json", JSON.stringify({ bos_token: "<S>", cls_token: { content: "[C]" } }));
    expect(await rendered()).toBe("<S> [C]   False ");
    config({ bos_token: "<s>", added_tokens_decoder: {} });
    expect(await rendered()).toBe("<s>    False ");
  });
});

test.each([
  ["GPT2Tokenizer", {}, "<|endoftext|>,<|endoftext|>,<|endoftext|>,"],
  ["GPT2TokenizerFast", { bos_token: null }, ",<|endoftext|>,<|endoftext|>,"],
  ["GPT2Tokenizer", { bos_token: "<x>", added_tokens_decoder: {} }, "<x>,<|endoftext|>,<|endoftext|>,"],
  ["Qwen2Tokenizer", { bos_token: "q", pad_token: null }, "q,<|endoftext|>,<|endoftext|>,"],
  ["GPTNeoXTokenizerFast", {}, "<|endoftext|>,<|endoftext|>,<|endoftext|>,<|padding|>"],
  ["LlamaTokenizer", {}, ",,,"],
  ["PreTrainedTokenizerFast", {}, ",,,"],
  [undefined, {}, ",,,"],
])("special tokens of %s with %j, as transformers 5.24 has them", async (tokenizer_class, others, text) => {
  config({ tokenizer_class, ...others });
  const chatTemplate = "{{ bos_token }},{{ eos_token }},{{ unk_token }},{{ pad_token }}";
  expect((await loadChatTemplate(dir)).render(messages, { chatTemplate })).toBe(text);
});

test("a template refuses", async () => {
  config({ chat_template: "{{ raise_exception('roles must alternate') }}" });
  const template = await loadChatTemplate(dir);
  expect(() => template.render(messages)).toThrow(fails("ERR_CHAT_TEMPLATE", "roles must alternate"));
});

describe("what failed for a new user", () => {
  test.each([
    ["jinja-strip", "\n  x  \n", "  x  "],
    ["jinja-false", "", "S[]"],
  ])("%s", async (name, content, text) => {
    const folder = join(SHARED, "cases/tokenizer", name);
    if (!present(folder)) return;
    expect((await loadChatTemplate(folder)).render([{ role: "user", content }])).toBe(text);
  });

  test.each([
    ["{{ '##a##'.strip('#') }}", "hi", "a"],
    ["{{ ' x\\n\\n'.rstrip('\\n') }}|{{ '\\n x'.lstrip('\\n') }}", "hi", " x| x"],
    ["[{{ messages[0].content | trim }}]", "\ufeffhi", "[\ufeffhi]"],
    ["{{ true }}|{{ [1,'a'] }}|{{ none }}", "hi", "True|[1, 'a']|None"],
    ["{{ 'ab'.find('b') }}|{{ '😀x'[0] }}|{{ '😀'|length }}", "hi", "1|😀|1"],
    ["{{ strftime_now('%A, %B %d, %Y %I:%M:%S %p')[-2:] in ['AM', 'PM'] }}", "hi", "True"],
  ])("%s", (source, content, text) => {
    expect(new ChatTemplate(source, {}, "t").render([{ role: "user", content }])).toBe(text);
  });
});

test("an error names the template's file, and the line where one did it", async () => {
  const bad = "a\nb{{ 1 / 0 }}";
  const refused = async (options?: ChatOptions) => {
    const template = await loadChatTemplate(dir);
    return () => template.render(messages, options);
  };
  config({ chat_template: bad });
  expect(await refused()).toThrow(
    fails("ERR_CHAT_TEMPLATE", "division by zero (line 2 of chat_template in tokenizer_config.json)"),
  );
  config({
    chat_template: [
      { name: "default", template: "x" },
      { name: "rag", template: "\n\n{% if %}" },
    ],
  });
  expect(await refused({ chatTemplate: "rag" })).toThrow(
    fails("ERR_CHAT_TEMPLATE", '(line 3 of chat_template "rag" in tokenizer_config.json)'),
  );
  write("chat_template.jinja", "{% if x %}y{% endif %}");
  additional({ "tool_use.jinja": bad });
  expect(await refused()).toThrow(
    fails("ERR_CHAT_TEMPLATE", "the chat template renders to nothing (chat_template.jinja)"),
  );
  expect(await refused({ chatTemplate: "tool_use" })).toThrow(
    fails("ERR_CHAT_TEMPLATE", "(line 2 of additional_chat_templates/tool_use.jinja)"),
  );
  expect(await refused({ chatTemplate: `${bad}!` })).toThrow(
    fails(
      "ERR_CHAT_TEMPLATE",
      "chatTemplate: the template cannot render these messages (user): division by zero (line 2)",
    ),
  );
});
