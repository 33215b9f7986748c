// --messages, --tools, --template-var, --chat-template and --continue: what they give the model, as quipu inspect prompt shows it.
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { testWhere } from "../where.js";
import { alteredStoryteller, alterJson } from "./models.js";
import { quipu } from "./run-cli.js";

const TEMPLATE = `{{ bos_token }}{% for t in tools or [] %}<{{ t | tojson }}>{% endfor %}{% for m in messages %}{{ m.role }}: {{ m.content }}{% for c in m.tool_calls or [] %}[{{ c.function | tojson }}]{% endfor %}{{ "\\n" }}{% endfor %}{% if add_generation_prompt %}bot{{ mood }}{{ mood is string }}:{% endif %}`;

const dir = mkdtempSync(join(tmpdir(), "quipu-messages-"));
afterAll(() => rmSync(dir, { recursive: true }));
const model = alteredStoryteller(join(dir, "model"));
const chat_template = [
  { name: "default", template: TEMPLATE },
  { name: "strict", template: "{{ raise_exception('roles must alternate') }}" },
  { name: "rag", template: "{% for d in documents or [] %}{{ d.text }};{% endfor %}{{ messages[0].content }}" },
];
alterJson(join(model, "tokenizer_config.json"), { chat_template });

const file = (name: string, text: string) => {
  writeFileSync(join(dir, name), text);
  return join(dir, name);
};
const turns = [
  { role: "user", content: "Hi" },
  { role: "assistant", content: "Once upon " },
];
const messages = file("messages.json", JSON.stringify(turns));
const question = file("question.json", JSON.stringify(turns.slice(0, 1)));
const tools = file("tools.json", '[{"type": "function", "function": {"name": "f", "limit": 1.0}}]');
const own = file("own.jinja", "own: {{ messages[-1].content }}");

async function prompt(args: readonly string[], input = ""): Promise<string> {
  const { status, stdout, stderr } = await quipu(["inspect", "prompt", "-m", model, "--json", ...args], { input });
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  return JSON.parse(stdout).text;
}

test.concurrent.each<[string, string[], string]>([
  ["a list of messages", ["--messages", question], "user: Hi\nbotFalse:"],
  ["after an answer, another", ["--messages", messages], "user: Hi\nassistant: Once upon \nbotFalse:"],
  ["the last message goes on", ["--messages", messages, "--continue"], "user: Hi\nassistant: Once upon "],
  ["a system message before it", ["--messages", question, "--system", "S"], "system: S\nuser: Hi\nbotFalse:"],
  [
    "tools",
    ["--messages", question, "--tools", tools],
    '<{"type": "function", "function": {"name": "f", "limit": 1.0}}>user: Hi\nbotFalse:',
  ],
  ["variables as texts", ["--messages", question, "--template-var", "mood= sad=1"], "user: Hi\nbot sad=1True:"],
  ["variables as JSON", ["--messages", question, "--template-var", "mood=1.0"], "user: Hi\nbot1.0False:"],
  ["a template of the model", ["--messages", question, "--chat-template", "rag"], "Hi"],
  ["a template of one's own", ["--messages", messages, "--chat-template", own], "own: Once upon "],
  [
    "a text with tools",
    ["--tools", tools, "Hi"],
    '<{"type": "function", "function": {"name": "f", "limit": 1.0}}>user: Hi\nbotFalse:',
  ],
  ["a text with a template", ["--chat-template", own, "Hi"], "own: Hi"],
])("%s", async (_, args, expected) => {
  expect((await prompt(args)).replace("<|begin_of_text|>", "")).toBe(expected);
});

test("stdin is the conversation, or the tools", async () => {
  expect(await prompt(["--messages", "-"], JSON.stringify(turns.slice(0, 1)))).toContain("user: Hi\n");
  expect(await prompt(["--tools", "-", "Hi"], '[{"a": 1}]')).toContain('<{"a": 1}>user: Hi\n');
});

test("a request: what is no part of its prompt is named", async () => {
  const request = {
    ...{ model: "m", temperature: 0, messages: turns, tools: [{ a: 1 }] },
    ...{ continue_final_message: true, chat_template_kwargs: { mood: "x" } },
  };
  const args = [
    "inspect",
    "prompt",
    "-m",
    model,
    "--json",
    "--messages",
    file("request.json", JSON.stringify(request)),
  ];
  const { status, stdout, stderr } = await quipu(args);
  expect({ status, stderr }).toEqual({
    status: 0,
    stderr: `quipu: ${join(dir, "request.json")}: no part of the prompt, and not read: model, temperature\n`,
  });
  expect(JSON.parse(stdout).text).toBe('<|begin_of_text|><{"a": 1}>user: Hi\nassistant: Once upon ');
});

test("generate and next take the same", async () => {
  const given = ["-m", model, "--messages", messages, "--continue", "--temp", "0", "-n", "1"];
  const [text, table] = await Promise.all([
    quipu(given),
    quipu(["next", "-m", model, "--messages", messages, "--continue", "--top", "1", "--json"]),
  ]);
  expect(text).toMatchObject({ status: 0, stderr: "" });
  expect(JSON.parse(table.stdout).tokens[0].text).toBe(text.stdout);
});

test("--on-overflow slide leaves out the oldest turns, and says so", async () => {
  const long = turns.concat(turns).concat({ role: "user", content: "Once upon a time there was a dog. ".repeat(4) });
  const given = [
    "-m",
    model,
    "--messages",
    file("long.json", JSON.stringify(long)),
    "-c",
    "64",
    "-n",
    "1",
    "--on-overflow",
  ];
  const [error, text, quiet, json] = await Promise.all([
    quipu([...given, "error"]),
    quipu([...given, "slide"]),
    quipu([...given, "slide", "--quiet"]),
    quipu([...given, "slide", "--json"]),
  ]);
  expect(error).toMatchObject({ status: 4, stdout: "", stderr: expect.stringContaining("truncate-middle or slide)") });
  expect(text).toMatchObject({
    status: 0,
    stderr: expect.stringMatching(
      /^quipu: the oldest 4 messages are left out \(\d+ tokens\), as the context is full\n$/,
    ),
  });
  expect(quiet).toMatchObject({ status: 0, stderr: "" });
  expect(JSON.parse(json.stdout.split("\n")[0]!)).toMatchObject({ type: "start", droppedMessages: 4 });
  const raw = await quipu(["-m", model, "--raw", "Hi", "--on-overflow", "slide"]);
  expect(raw).toMatchObject({
    status: 2,
    stderr: expect.stringMatching(/^quipu: --on-overflow: "slide" leaves out turns/),
  });
});

test.concurrent.each<[string, string[], string | RegExp]>([
  ["words too", ["--messages", question, "hi"], "from words and from --messages"],
  ["--raw", ["--messages", question, "--raw"], "cannot be used with option '--raw'"],
  ["--echo", ["--messages", question, "--echo"], "--echo prints a text"],
  ["--continue alone", ["--continue", "hi"], "--continue goes on with the last message of --messages"],
  ["no such file", ["--messages", "/no/such"], "--messages /no/such: cannot be read: ENOENT"],
  ["a folder", ["--messages", "docs"], "--messages docs: cannot be read: EISDIR"],
  ["messages without end", ["--messages", "/dev/zero"], "--messages /dev/zero: more than 256 MiB"],
  ["tools without end", ["--messages", question, "--tools", "/dev/zero"], "--tools /dev/zero: more than 256 MiB"],
  ["no JSON", ["--messages", own], "own.jinja: not valid JSON"],
  ["no messages", ["--messages", file("none.json", "[]")], "messages: expected at least one message"],
  [
    "a message that is none",
    ["--messages", file("role.json", '[{"role": 5}]')],
    "messages[0].role: expected a text, got 5",
  ],
  [
    "a message without content, before a model is loaded",
    ["--messages", file("silent.json", '[{"role": "user", "content": "x"}, {"role": "user", "text": "y"}]')],
    /^quipu: --messages \S+silent\.json: messages\[1\]\.content: expected a text, parts, or tool_calls in its place, got nothing\n$/,
  ],
  [
    "tools twice",
    [
      "--messages",
      file("both.json", '{"messages": [{"role": "user", "content": "x"}], "tools": []}'),
      "--tools",
      tools,
    ],
    "has tools as well",
  ],
  [
    "tools that are none",
    ["--messages", question, "--tools", question.replace("question", "none.json/x")],
    "cannot be read: ENOTDIR",
  ],
  [
    "no list of tools",
    ["--messages", question, "--tools", file("tool.json", '{"type": "function"}')],
    "expected a list of tools",
  ],
  ["stdin twice", ["--messages", "-", "--tools", "-"], "only one of them can be stdin"],
  ["a variable without a value", ["--messages", question, "--template-var", "x"], 'Expected a name, "=", and a value.'],
  [
    "a variable that is a part",
    ["--messages", question, "--template-var", "messages=1"],
    /^quipu: --template-var: messages has an option of its own/,
  ],
  [
    "a template of no such name",
    ["--messages", question, "--chat-template", "tools"],
    "--chat-template tools: no such file, and no template of that name in the model (it has default, strict, rag)",
  ],
  [
    "numbers, which are no ids here",
    ["--messages", file("ids.json", "[1]")],
    "messages[0]: expected { role, content }",
  ],
  [
    "a field of a request",
    [
      "--messages",
      file("field.json", '{"messages": [{"role": "user", "content": "x"}], "add_generation_prompt": "x"}'),
    ],
    'field.json: add_generation_prompt: expected true or false, got "x"',
  ],
  [
    "nothing to go on with",
    ["--messages", file("no.json", '[{"role": "user", "content": null}]'), "--continue"],
    /^quipu: --continue: /,
  ],
  [
    "going on with an answer that another begins after",
    ["--messages", file("opened.json", JSON.stringify({ messages: turns, add_generation_prompt: true })), "--continue"],
    /^quipu: --continue: the last message goes on, or another begins \(add_generation_prompt in .*opened\.json\): choose one\n$/,
  ],
  ["a path that is empty", ["--messages", ""], "--messages: expected a path, got an empty text"],
  ["tools without end", ["--messages", question, "--tools", "/dev/zero"], "--tools /dev/zero: more than 256 MiB"],
  [
    "a file that is no template",
    ["--messages", question, "--chat-template", file("plain.txt", "Hi")],
    "expected a Jinja text",
  ],
  [
    "documents that the template does not read",
    [
      "--messages",
      file("documents.json", '{"messages": [{"role": "user", "content": "x"}], "documents": [{"text": "x"}]}'),
    ],
    "does not read documents",
  ],
])("%s: an error", async (_, args, message) => {
  const { status, stdout, stderr } = await quipu(["-m", model, "-n", "1", ...args]);
  expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
  expect(stderr).toMatch(
    typeof message === "string" ? new RegExp(message.replace(/[\\^$*+?.()|[\]{}]/g, "\\$&")) : message,
  );
});

test.concurrent.each<[string, string, string]>([
  ["parse", "{{ messages", "quipu: --chat-template: the template cannot be parsed: "],
  [
    "know what we have",
    "{{ lipsum() }}",
    "quipu: --chat-template: the template cannot render these messages (user): not supported: the function lipsum",
  ],
  [
    "render",
    "{{ 1 / 0 }}",
    "quipu: --chat-template: the template cannot render these messages (user): division by zero",
  ],
])("an own template that does not %s is not the model's", async (name, text, message) => {
  const path = file(`${name}.jinja`, text);
  const { status, stderr } = await quipu(["inspect", "prompt", "-m", model, "--chat-template", path, "hi"]);
  expect({ status, message: stderr.slice(0, message.length) }).toEqual({ status: 3, message });
});

test("messages that the model's template refuses are named with their file and their roles", async () => {
  const args = ["-m", model, "--chat-template", "strict"];
  const message = `quipu: --messages ${messages}: model: the chat template cannot render these messages (user, assistant): roles must alternate`;
  for (const command of [[], ["next"], ["inspect", "prompt"]]) {
    const { status, stderr } = await quipu([...command, ...args, "--messages", messages]);
    expect({ status, message: stderr.slice(0, message.length) }).toEqual({ status: 3, message });
  }
  const { status, stderr } = await quipu(["tokens", ...args, "--chat", messages]);
  expect({ status, stderr }).toMatchObject({ status: 3, stderr: expect.stringContaining(`--chat ${messages}: `) });
  const alone = await quipu(["inspect", "prompt", ...args, "Hi"]);
  expect(alone.stderr).toMatch(/^quipu: model: the chat template cannot render these messages \(user\): roles must/);
});

describe("what failed for a new user", () => {
  const CASES = join(process.env.QUIPU_SHARED ?? join(process.cwd(), "../shared"), "cases/tokenizer");
  const withCases = testWhere(existsSync(CASES), `${CASES} does not exist`);

  withCases("tools are rendered, and not ignored", async () => {
    const text = await prompt(["--messages", join(CASES, "chat-tools-ignored.json")]);
    expect(text).toBe('<|begin_of_text|><{"type": "function", "function": {"name": "f"}}>user: hi\nbotFalse:');
    const { status, stderr } = await quipu([
      ...["tokens", "-m", model, "--chat", join(CASES, "chat-tools-ignored.json"), "--chat-template", own],
    ]);
    expect({ status, stderr }).toMatchObject({ status: 2, stderr: expect.stringContaining("does not read tools") });
  });

  withCases("indented code after a thought", async () => {
    const template = file(
      "thinks.jinja",
      "{% for m in messages %}{{ m.content.split('</think>')[-1].lstrip('\\n') if m.role == 'assistant' else m.content }}|{% endfor %}",
    );
    const text = await prompt([
      "--messages",
      join(CASES, "conversation-indented-code.json"),
      "--chat-template",
      template,
    ]);
    expect(text).toContain("code?|    x = 1\n|");
  });
});
