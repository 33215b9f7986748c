// quipu chat by lines of stdin, and what is wrong with how it is called.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { temporaryFolder } from "../checkpoint-writer.js";
import { chatModel } from "./chats.js";
import { bash, finish, quipu, startQuipu } from "./run-cli.js";

const dir = temporaryFolder();
const { model, SHORT, LONG, answers } = chatModel(dir);

describe("by lines", () => {
  test("each is answered, with those before it; an answer ends with a newline", async () => {
    const [one, two] = await answers("Hello", "Who are you?");
    const file = join(dir, "turns.json");
    const messages = [
      { role: "user", content: "Hello" },
      { role: "assistant", content: one },
      { role: "user", content: "Who are you?" },
    ];
    writeFileSync(file, JSON.stringify(messages));
    const [first, second] = await Promise.all([
      quipu(["-m", model, "--chat", "Hello", "--temp", "0", "-n", "6", "--ignore-eos"]),
      quipu(["-m", model, "--messages", file, "--temp", "0", "-n", "6", "--ignore-eos"]),
    ]);
    expect([one, two]).toEqual([first.stdout, second.stdout]);
  });

  test("white space, CRLF and a last line without a newline", async () => {
    const { stdout } = await quipu(SHORT, { input: "\n  \nHello\r\nWho are you?" });
    expect(stdout.split("\n").slice(0, -1)).toEqual(await answers("Hello", "Who are you?"));
  });

  test("commands and texts of several lines work; what is no answer is on stderr", async () => {
    const file = join(dir, "lines.json");
    const input = `/system Be brief.\n"""/a\nb"""\n/edit c\n/save ${file}\n`;
    const { status, stdout, stderr } = await quipu(SHORT, { input });
    expect({ status, stderr }).toEqual({ status: 0, stderr: `system: Be brief.\n3 messages written to ${file}\n` });
    const { messages } = JSON.parse(readFileSync(file, "utf8"));
    expect(messages.map(({ content }: { content: string }) => content)).toEqual([
      "Be brief.",
      "c",
      stdout.split("\n")[1],
    ]);
  });

  test.each([
    ["a command that is none", "Hello\n/hepl\nHello\n", 2, "no command is named /hepl: did you mean /help?"],
    ["a command that fails", "Hello\n/load /no/such\nHello\n", 2, "/load /no/such: cannot be read"],
    ["an open text", 'Hello\n"""a\nb\n', 2, 'stdin: it ends in the middle of a text that begins with """'],
    ["a message that does not fit", `Hello\n${"dog ".repeat(4100)}\nHello\n`, 4, "the context holds 4096"],
  ])("%s ends it, after what was answered", async (_, input, status, message) => {
    const result = await quipu(SHORT, { input });
    expect(result.stderr).toContain(message);
    expect(result).toMatchObject({ status, stdout: `${(await answers("Hello"))[0]}\n` });
  });

  test("bytes that are no UTF-8 are refused, with their place", async () => {
    const { status, stderr } = await quipu(SHORT, { input: Buffer.from("Hello\n\xff\n", "latin1") });
    expect({ status, stderr }).toMatchObject({
      status: 2,
      stderr: expect.stringContaining("stdin: not valid UTF-8 at byte 6"),
    });
  });

  test("nothing on stdin is no error", async () => {
    expect(await quipu(SHORT)).toEqual({ status: 0, stdout: "", stderr: "" });
  });

  test.each([
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const)("%s in an answer ends it with %i, and what was printed stays", async (signal, status) => {
    const child = startQuipu(LONG);
    child.stdin!.write("Hello\n");
    await new Promise<void>((resolve) => child.stdout!.once("readable", resolve));
    child.kill(signal);
    const result = await finish(child);
    expect(result).toMatchObject({ status, stderr: "" });
    expect(result.stdout).not.toBe("");
  });

  test("slide leaves out the oldest turns, and says so", async () => {
    const input = [..."abcd"].map((name) => `${name} ${"the dog ran. ".repeat(10)}\n`).join("");
    const { status, stdout, stderr } = await quipu([...SHORT, "-c", "128", "--on-overflow", "slide"], { input });
    expect({ status, answers: stdout.split("\n").length - 1 }).toEqual({ status: 0, answers: 4 });
    expect(stderr).toMatch(/^\(the oldest \d messages are left out \(\d+ tokens\), as the context is full\)\n/);
    expect((await quipu([...SHORT, "-c", "128", "--on-overflow", "slide", "--quiet"], { input })).stderr).toBe("");
  });

  test("truncate-head says what of the prompt is left out", async () => {
    const input = `${"the dog ran. ".repeat(60)}\n`;
    const { status, stderr } = await quipu([...SHORT, "-c", "128", "--on-overflow", "truncate-head"], { input });
    expect(status).toBe(0);
    expect(stderr).toMatch(/^\(\d+ tokens of the prompt are left out, as the context is full\)\n/);
  });

  test("a closed pipe ends it quietly", async () => {
    const { status, stdout } = await bash(`yes Hello | quipu ${SHORT.join(" ")} | head -1; echo "\${PIPESTATUS[1]}"`);
    expect({ status, stdout }).toEqual({ status: 0, stdout: `${(await answers("Hello"))[0]}\n0\n` });
  });
});

test.each([
  [
    "a model without a template",
    ["chat"],
    /^quipu: chat: storyteller has no chat template.*quipu --raw -p "Once upon a time"/,
  ],
  [
    "--messages -",
    ["chat", "-m", model, "--messages", "-"],
    "--messages -: stdin is where the messages of a chat come from",
  ],
  ["no such file", ["chat", "-m", model, "--messages", "/no/such"], "--messages /no/such: cannot be read: ENOENT"],
  [
    "a file that is none",
    ["chat", "-m", model, "--messages", "package.json"],
    "--messages package.json: expected a list of messages",
  ],
  [
    "words",
    ["chat", "-m", model, "hello"],
    "chat: expected no words: messages are typed, or lines of stdin. To use the word as a prompt: quipu -p",
  ],
  [
    "a value",
    ["chat", "-m", model, "--on-overflow", "x"],
    "Expected error or truncate-head or truncate-middle or slide",
  ],
])("%s is a usage error", async (_, args, message) => {
  const { status, stdout, stderr } = await quipu(args, { input: "Hello\n" });
  expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
  if (typeof message === "string") expect(stderr).toContain(message);
  else expect(stderr).toMatch(message);
});

test("a template of one's own makes any model one that answers", async () => {
  const { status, stdout } = await quipu(["chat", "--chat-template", join(model, "chat_template.jinja"), "-n", "3"], {
    input: "Hi\n",
  });
  expect({ status, isAnswered: stdout.length > 1 }).toEqual({ status: 0, isAnswered: true });
});
