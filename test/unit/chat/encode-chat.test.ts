// Control tokens in what users give stay plain text, wherever a template puts it and whatever it looks at.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { encodeChat } from "#quipu/chat/encode-chat.js";
import type { ChatMessage, ChatOptions } from "#quipu/chat/message.js";
import { ChatTemplate } from "#quipu/chat/template.js";
import { loadTokenizer } from "#quipu/tokenizer/load-tokenizer.js";
import type { Tokenizer } from "#quipu/tokenizer/tokenizer.js";
import { TOKENIZER_FILES } from "../tokenizer/tokenizers.js";

/** Control tokens of all kinds: `</s>` takes the white space behind it, `[SEP]` that before it. */
const CONTROL = ["<s>", "</s>", "<think>", "</think>", "<|im_end|>", "[SEP]", "x|y", "🦙🦙", "<|a-b|>"];

let tokenizer: Tokenizer;
beforeAll(async () => {
  const dir = mkdtempSync(join(tmpdir(), "quipu-control-"));
  const storyteller = JSON.parse(readFileSync(TOKENIZER_FILES["stories.json"]!, "utf8"));
  const added_tokens = CONTROL.map((content, i) => ({
    ...{ id: 9000 + i, content, special: true },
    ...{ rstrip: content === "</s>", lstrip: content === "[SEP]", single_word: false, normalized: false },
  }));
  writeFileSync(join(dir, "tokenizer.json"), JSON.stringify({ ...storyteller, post_processor: null, added_tokens }));
  tokenizer = await loadTokenizer(dir);
  rmSync(dir, { recursive: true });
});

const render = (source: string, messages: ChatMessage[], options: ChatOptions = {}) => {
  const template = new ChatTemplate(source, { bos_token: "<s>", eos_token: "</s>" }, "here");
  const text = template.render(messages, options);
  const ids = [...encodeChat(tokenizer, template, messages, options)];
  return { text, ids, control: ids.filter((id) => id >= 9000).map((id) => CONTROL[id - 9000]) };
};
const said = (content: string, role = "user"): ChatMessage => ({ role, content });
const all = CONTROL.join(" ");

describe("whatever a user gives", () => {
  const tool = { type: "function", function: { name: "f", description: all, parameters: { [all]: all } } };
  const call = { id: all, type: "function", function: { name: all, arguments: { [all]: [all, { a: all }] } } };
  const own =
    "<s>{% for m in messages %}{{ m | tojson }}{% endfor %}{{ [tools, documents] | tojson }}{{ extra | default('') | tojson }}</s>";

  test.each<[string, ChatMessage[], ChatOptions]>([
    ["a content", [said(all)], {}],
    ["a role", [said("x", all)], {}],
    ["parts", [{ role: "user", content: [{ type: "text", text: all }] }], {}],
    ["a name, and any other field", [{ ...said("x"), name: all, [all]: all, deep: [{ a: all }] }], {}],
    ["calls", [{ role: "assistant", content: null, tool_calls: [call] }], {}],
    ["an answer of a tool", [{ role: "tool", content: all, tool_call_id: all }], {}],
    ["reasoning", [{ ...said("x", "assistant"), reasoning_content: all }], {}],
    ["tools", [said("x")], { tools: [tool] }],
    ["documents", [said("x")], { documents: [{ title: all, text: all }] }],
    ["variables", [said("x")], { templateVariables: { extra: { [all]: all } } }],
  ])("%s", (_, messages, options) => {
    const { text, ids, control } = render(own, messages, options);
    expect(control).toEqual(["<s>", "</s>"]);
    expect(tokenizer.decode(ids, { special: true })).toBe(text);
    expect(text).toContain(all);
  });
});

describe("templates that look at what they are given see it as it is", () => {
  const thought = said(`<think>\nhm <|im_end|>\n</think>\n\n  so ${all}`, "assistant");
  const { content } = thought;
  test.each<[string, string]>([
    ["in", "{{ 'yes' if '</think>' in c }}"],
    [
      "split",
      "{{ c.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') }}|{{ c.split('</think>', 1)[-1].lstrip() }}",
    ],
    ["rsplit", "{{ c.rsplit('<think>', 1) | join('|') }}"],
    ["partition", "{{ c.partition('</think>')[2] }}{{ c.rpartition('[SEP]')[0] }}"],
    [
      "find, index, count",
      "{{ c.find('</think>') }} {{ c.rfind('<') }} {{ c.index('[') }} {{ c.count('<') }} {{ c.count('end') }}",
    ],
    ["startswith, endswith", "{{ c.startswith('<think>') }} {{ c.endswith('end') }} {{ c.startswith(('a', '<')) }}"],
    ["removeprefix, removesuffix", "{{ c.removeprefix('<think>') }}{{ c.removesuffix(' end') }}"],
    ["strip of characters", "{{ c.strip('<end') }}|{{ c.lstrip('<thi') }}|{{ ('🦙🦙' ~ c).lstrip('🦙') }}"],
    ["replace", "{{ c.replace('<think>', '') }}{{ c.replace('<', '&lt;', 2) }}{{ c | replace('</s>', '-') }}"],
    [
      "length, slices, items",
      "{{ c | length }}{{ c[:9] }}{{ c[-20:] }}{{ c[0] }}{{ c[::-1] }}{{ c | list | join }}{{ c | first }}",
    ],
    [
      "==, order, sort",
      "{{ c == '<think>' }}{{ c[0] == '<' }}{{ c < '=' }}{{ c > ';' }}{{ [c, '=', ';', '<a'] | sort | join(',') }}",
    ],
    [
      "in lists and dicts",
      "{{ c[0] in ['<'] }}{{ {'<': 5}[c[0]] }}{{ c[0] in {'<': 1} }}{{ [c[0], '<'] | unique | list | length }}{{ ['<'].index(c[0]) }}",
    ],
    ["tests", "{{ c[0] is eq '<' }}{{ c is string }}{{ c[0] is in '<>' }}{{ c[0].isalnum() }}{{ c.isascii() }}"],
    ["case", "{{ c | upper }}{{ c | capitalize }}{{ c | title }}{{ c.swapcase() }}"],
    ["printing", "{{ [c] }}{{ {'a': c} | string }}{{ c | tojson }}{{ '%s' % c }}{{ '{}'.format(c) }}"],
    [
      "words and lines",
      "{{ c | wordcount }}{{ c | indent(2) }}{{ c.splitlines() | join('|') }}{{ c | truncate(20) }}{{ c | wordwrap(10) }}",
    ],
    ["escape", "{{ c | e }}{{ c | striptags }}"],
    ["ASCII", "{{ c | tojson(ensure_ascii=true) }}"],
    [
      "a macro and a set block",
      "{% macro m(x) %}{{ x.split('</think>')[-1] }}{% endmacro %}{% set y %}{{ m(c) }}{% endset %}{{ y }}{{ y.startswith('\\n') }}",
    ],
    [
      "a map",
      "{{ messages | map(attribute='content') | select('equalto', c) | join }}{{ messages | selectattr('content', 'eq', c) | list | length }}",
    ],
  ])("%s", (_, expression) => {
    const { text, ids, control } = render(`<s>{% set c = messages[0].content %}${expression}</s>`, [thought]);
    expect(control).toEqual(["<s>", "</s>"]);
    expect(tokenizer.decode(ids, { special: true })).toBe(text);
    expect(content).toContain("<|im_end|>");
  });
});

test("a control token that a template puts together from users' texts is none", () => {
  const messages = [said("<|im_"), said("end|>")];
  expect(render("<s>{% for m in messages %}{{ m.content }}{% endfor %}</s>", messages).control).toEqual([
    "<s>",
    "</s>",
  ]);
  const cut = render("<s>{{ messages[0].content.replace('</think>', '') }}</s>", [said("</th</think>ink>")]);
  expect(cut.text).toBe("<s></think></s>");
  expect(cut.control).toEqual(["<s>", "</s>"]);
});

test("one that it puts together from its own text and a role is one", () => {
  const { control } = render("{{ '<' + messages[0].role + '>' }}{{ messages[0].content }}", [said("<think>", "think")]);
  expect(control).toEqual(["<think>"]);
});

test("much white space beside a control token that a user has typed", () => {
  const blank = " ".repeat(1_000_000); // minutes, if the end of each space were looked for
  const { control } = render("<s>{{ messages[0].content }}</s>", [said(`<think>${blank}x`)]);
  expect(control).toEqual(["<s>", "</s>"]);
});

describe("ids", () => {
  const plain = (text: string) => [...tokenizer.encode(text)];
  const id = (token: string) => 9000 + CONTROL.indexOf(token);

  test("are those of the rendered text where no user has typed a control token", () => {
    const { text, ids } = render("<s>{{ messages[0].content }}</s>  \n<think>x [SEP]", [said("a < b </ c [ SEP")]);
    expect(ids).toEqual([...tokenizer.encode(text, { special: true })]);
  });

  test("text between two control tokens is encoded as one, with those that users have typed", () => {
    const { ids } = render("<s>\nA {{ messages[0].content }} B<think>", [said("one </s> two")]);
    expect(ids).toEqual([id("<s>"), ...plain("\nA one </s> two B"), id("<think>")]);
  });

  test("white space that belongs to a control token stays with it", () => {
    const { ids } = render("</s>\n\n {{ messages[0].content }}  [SEP]</s> \n", [said("<s>a</s> b")]);
    expect(ids).toEqual([id("</s>"), ...plain("<s>a</s> b"), id("[SEP]"), id("</s>")]);
  });
});

test("messages that use the symbols that mark control tokens", () => {
  const hexagrams = Array.from({ length: 62 }, (_, i) => String.fromCodePoint(0x4dc0 + i)).join("");
  expect(render("<s>{{ messages[0].content }}", [said(`${hexagrams}<s>[SEP]`)]).control).toEqual(["<s>"]);
  expect(() => render("<s>{{ messages[0].content }}", [said(`${hexagrams}<s>[SEP]x|y\u4dfe\u4dff`)])).toThrow(
    expect.objectContaining({ code: "ERR_CHAT_TEMPLATE", message: expect.stringContaining("use up the symbols") }),
  );
});

test("what no marking withstands is refused, and not rendered otherwise", () => {
  const source = "<s>{{ messages[0].content | urlencode }}";
  expect(render(source, [said("a b")]).text).toBe("<s>a%20b");
  expect(() => render(source, [said("<think>")])).toThrow(
    expect.objectContaining({
      code: "ERR_CHAT_TEMPLATE",
      message: expect.stringContaining("here: the chat template does with <"),
    }),
  );
});
