// What a conversation may be, and that whatever it may not be is named.

import type { ChatMessage } from "#quipu/chat/message.js";
import { parseChatRequest } from "#quipu/chat/request.js";
import { ChatTemplate } from "#quipu/chat/template.js";

const template = new ChatTemplate("{{ messages | tojson }}", {}, "here");
const user = { role: "user", content: "x" };
const given = (messages: unknown, options: object = {}) => template.render(messages as never, options);
const usage = (message: string) =>
  expect.objectContaining({ code: "ERR_USAGE", message: expect.stringContaining(message) });

const cycle: Record<string, unknown> = { role: "user", content: "x" };
cycle.self = cycle;

test.each<[unknown, string]>([
  [undefined, "messages: expected a list"],
  [{}, "messages: expected a list"],
  [[], "messages: expected at least one message"],
  [["x"], 'messages[0]: expected { role, content }, got "x"'],
  [[user, null], "messages[1]: expected { role, content }, got null"],
  [[user, [user]], "messages[1]: expected { role, content }"],
  [[{ content: "x" }], "messages[0].role: expected a text, got nothing"],
  [[{ role: 5, content: "x" }], "messages[0].role: expected a text, got 5"],
  [[user, { role: "user", content: 5 }], "messages[1].content: expected a text, null, or parts"],
  [
    [user, { role: "user", text: "x" }],
    "messages[1].content: expected a text, parts, or tool_calls in its place, got nothing",
  ],
  [[{ role: "user", content: undefined }], "messages[0].content: expected a text, parts, or tool_calls in its place"],
  [[{ role: "user", content: [] }], "messages[0].content: expected a text, null, or parts"],
  [[{ role: "user", content: ["x"] }], 'messages[0].content[0]: expected { type: "text", text }'],
  [
    [
      {
        role: "user",
        content: [
          { type: "text", text: "x" },
          { type: "image_url", image_url: { url: "u" } },
        ],
      },
    ],
    'messages[0].content[1].type: expected "text"',
  ],
  [[{ role: "user", content: [{ type: "text" }] }], "messages[0].content[0].text: expected a text, got nothing"],
  [[user, { role: "assistant", tool_calls: "f" }], "messages[1].tool_calls: expected a list of { id, type, function"],
  [[user, { role: "assistant", tool_calls: [5] }], "messages[1].tool_calls: expected a list"],
  [[user, { role: "tool", content: "x", tool_call_id: 5 }], "messages[1].tool_call_id: expected a text or null, got 5"],
  [[{ ...user, name: 5 }], "messages[0].name: expected a text or null"],
  [[{ ...user, reasoning_content: {} }], "messages[0].reasoning_content: expected a text or null"],
  [[{ ...user, when: new Date(0) }], "messages[0].when: expected data as JSON has it, got a value of Date"],
  [[{ ...user, f: () => 1 }], "messages[0].f: expected data as JSON has it, got a function"],
  [
    [{ ...user, deep: { list: [1, Symbol("s")] } }],
    "messages[0].deep.list[1]: expected data as JSON has it, got a symbol",
  ],
  [[{ ...user, x: Number.NaN }], "messages[0].x: expected data as JSON has it, got NaN"],
  [[cycle], "nested deeper than 64"],
])("messages %#: %s", (messages, message) => {
  expect(() => given(messages)).toThrow(usage(message));
});

test.each<[object, string]>([
  [{ tools: {} }, "tools: expected a list"],
  [{ tools: [user, 5] }, "tools[1]: expected an object, got 5"],
  [{ documents: "x" }, "documents: expected a list"],
  [{ documents: [null] }, "documents[0]: expected an object, got null"],
  [{ templateVariables: [] }, "templateVariables: expected an object"],
  [{ templateVariables: { f: () => 1 } }, "templateVariables.f: expected data"],
  [{ templateVariables: { messages: [] } }, "templateVariables: messages has an option of its own"],
  [{ chatTemplate: "rag" }, "chatTemplate: here has the templates default: expected such a name or a Jinja text"],
  [
    { continueFinalMessage: true, addGenerationPrompt: true },
    "continueFinalMessage: the last message goes on, or another begins",
  ],
])("options %j", (options, message) => {
  expect(() => given([user], options)).toThrow(usage(message));
});

test("fields that are null or undefined are left out; all others are given, in their order", () => {
  const message = { role: "assistant", content: null, refusal: null, name: undefined, weight: 1.5, deep: { a: null } };
  expect(given([user, message])).toBe(
    '[{"role": "user", "content": "x"}, {"role": "assistant", "weight": 1.5, "deep": {"a": null}}]',
  );
});

test("a message may have calls, a thought or null in place of its content", () => {
  const call = { type: "function", function: { name: "f" } };
  for (const has of [{ tool_calls: [call] }, { reasoning_content: "r" }, { thinking: "r" }, { content: null }]) {
    expect(given([user, { role: "assistant", ...has }])).toContain('{"role": "user", "content": "x"}, {');
  }
});

test("the other names of reasoning", () => {
  expect(given([{ role: "assistant", content: "x", reasoning: "r" }])).toBe(
    '[{"thinking": "r", "role": "assistant", "content": "x", "reasoning": "r", "reasoning_content": "r"}]',
  );
});

test("callers' objects are left as they are", () => {
  const message = Object.freeze({
    role: "user",
    content: Object.freeze([Object.freeze({ type: "text", text: "x" })]),
    name: null,
  });
  given([message]);
  expect(message).toEqual({ role: "user", content: [{ type: "text", text: "x" }], name: null });
});

describe("what a template does not read is refused, and not left out", () => {
  const call = { type: "function", function: { name: "f", arguments: "{}" } };
  const calls = [user, { role: "assistant", content: "x", tool_calls: [call] }];
  const plain = new ChatTemplate("{% for m in messages %}{{ m.content }}{% endfor %}", {}, "here");

  test.each<[ChatMessage[], object, string]>([
    [[user], { tools: [{}] }, "tools: the chat template of here does not read tools"],
    [[user], { documents: [{}] }, "documents: the chat template of here does not read documents"],
    [calls, {}, "messages[1].tool_calls: the chat template of here does not read tool_calls"],
  ])("%#", (messages, options, message) => {
    expect(() => plain.render(messages, options)).toThrow(usage(message));
  });

  test("but nothing is lost of empty lists, and where messages are printed as a whole", () => {
    const empty = [user, { role: "assistant", content: "y", tool_calls: [] }];
    expect(plain.render(empty, { tools: [], documents: [], templateVariables: { unread: 1 } })).toBe("xy");
    expect(given(calls)).toContain('"tool_calls": [{');
  });
});

describe("parts", () => {
  const parts: ChatMessage[] = [
    {
      role: "user",
      content: [
        { type: "text", text: "a" },
        { type: "text", text: "'b'" },
      ],
    },
  ];
  const render = (source: string) => new ChatTemplate(source, {}, "here").render(parts);

  test("go to templates that read them", () => {
    expect(render("{% for part in messages[0].content %}<{{ part.text }}>{% endfor %}")).toBe("<a><'b'>");
    expect(render("{{ messages[0].content | map(attribute='text') | join }}")).toBe("a'b'");
  });

  test("are one text for templates that would print a list, or fail on it", () => {
    expect(render("{{ messages[0].content }}")).toBe("a\n'b'");
    expect(render("{{ messages[0].content | trim }}")).toBe("a\n'b'");
    expect(render("{{ messages[0].content + '!' }}")).toBe("a\n'b'!");
  });

  test("message by message", () => {
    const source = "{{ messages[0].content }}|{% for part in messages[1].content %}<{{ part.text }}>{% endfor %}";
    const system: ChatMessage = { role: "system", content: [{ type: "text", text: "s" }] };
    expect(new ChatTemplate(source, {}, "here").render([system, ...parts])).toBe("s|<a><'b'>");
  });
});

describe("continueFinalMessage", () => {
  const source = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{{ m.reasoning_content }}</>{% endfor %}";
  const turns = (last: object) => [user, { role: "assistant", ...last }];
  const render = (last: object, options: object = {}, from = source) =>
    new ChatTemplate(from, {}, "here").render(turns(last), { continueFinalMessage: true, ...options });

  test.each([
    [{ content: "One, " }, "<user>x</><assistant>One, "],
    [{ content: "" }, "<user>x</><assistant>"],
    [{ content: "CONTINUE_FINAL_MESSAGE_TAG " }, "<user>x</><assistant>CONTINUE_FINAL_MESSAGE_TAG "],
  ])("%j", (last, text) => {
    expect(render(last)).toBe(text);
  });

  test("white space that the template trims", () => {
    expect(render({ content: "One, \n" }, {}, "{% for m in messages %}<{{ m.content | trim }}></>{% endfor %}")).toBe(
      "<x></><One,",
    );
  });

  test("another field", () => {
    expect(render({ content: "", reasoning_content: "Hm" }, { continueFinalMessage: "reasoning_content" })).toBe(
      "<user>x</><assistant>Hm",
    );
  });

  test.each<[object, object, string, string]>([
    [{ content: null }, {}, "ERR_USAGE", "messages[1] has no content to go on with"],
    [{ content: "x" }, { continueFinalMessage: "refusal" }, "ERR_USAGE", "has no refusal"],
    [
      { content: "x", weight: 1 },
      { continueFinalMessage: "weight" },
      "ERR_CHAT_TEMPLATE",
      "does not know the field weight",
    ],
    [
      { content: "x", role: "assistant" },
      { continueFinalMessage: "role" },
      "ERR_CHAT_TEMPLATE",
      "leaves out the last message",
    ],
  ])("%j with %j", (last, options, code, message) => {
    const from =
      options && "continueFinalMessage" in options && options.continueFinalMessage === "role"
        ? "{# role #}{{ messages[0].content }}"
        : source;
    expect(() => render(last, options, from)).toThrow(
      expect.objectContaining({ code, message: expect.stringContaining(message) }),
    );
  });
});

describe("requests as JSON", () => {
  test("a list, or an object of OpenAI's and vLLM's names", () => {
    expect(parseChatRequest('\uFEFF[{"role": "user", "content": "x"}]')).toEqual({ messages: [user], otherFields: [] });
    const { messages, otherFields, templateVariables, ...options } = parseChatRequest(
      `{"model": "m", "messages": [{"role": "user", "content": "x"}], "tools": [], "documents": null, "temperature": 0, "add_generation_prompt": false,
        "continue_final_message": true, "chat_template": "c", "chat_template_kwargs": {"enable_thinking": false}}`,
    );
    expect(messages).toEqual([user]);
    expect(otherFields).toEqual(["model", "temperature"]);
    expect(options).toEqual({ tools: [], addGenerationPrompt: false, continueFinalMessage: true, chatTemplate: "c" });
    expect(templateVariables).toEqual({ enable_thinking: false });
  });

  test("fields with names that every object of JavaScript has", () => {
    const { otherFields, messages, ...options } = parseChatRequest(
      '{"messages": [{"role": "user", "content": "x"}], "constructor": 1, "__proto__": {"tools": []}, "toString": 2}',
    );
    expect([otherFields, options]).toEqual([["constructor", "__proto__", "toString"], {}]);
  });

  test("numbers and the order of fields are as they were written", () => {
    const { messages } = parseChatRequest(
      '[{"role": "user", "content": "x", "n": {"2": 1.0, "1": 12345678901234567890}}]',
    );
    expect(given(messages)).toContain('{"2": 1.0, "1": 12345678901234567890}');
  });

  test.each(["", "{", "5", '"x"', "{}", '{"messages": {}}', "[1]", "[null]", '[{"role": "user"}]'])(
    "%j is refused",
    (text) => {
      expect(() => parseChatRequest(text)).toThrow(expect.objectContaining({ code: "ERR_USAGE" }));
    },
  );
});
