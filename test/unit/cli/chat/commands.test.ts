// The commands of a chat: what each does to the session, says, and refuses.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Chat, COMMANDS, runCommand } from "#quipu/cli/chat/commands.js";
import { Session } from "#quipu/cli/chat/session.js";
import type { EndEvent, Model } from "#quipu/index.js";
import { temporaryFolder } from "../../../checkpoint-writer.js";

const dir = temporaryFolder();

interface Recorded extends Chat {
  readonly shown: string[];
  readonly prefilled: string[];
  answers: number;
  hasLeft: boolean;
}

function chatOf(
  session: Session,
  { width = 80, last, canEdit = true }: { width?: number; last?: EndEvent; canEdit?: boolean } = {},
): Recorded {
  const model = {
    stats: () => ({ contextLength: 512, cacheBytesPerPosition: 1024, kvCache: "f16" }),
    encode: (messages: readonly { content: string }[]) => messages.map(({ content }) => content),
    tokenizer: { decode: (ids: readonly string[]) => `<${ids.join("><")}>` },
  } as unknown as Model;
  const chat: Recorded = {
    ...{ session, model, last, width, files: new Set<string>(), signal: new AbortController().signal },
    ...{ shown: [], prefilled: [], answers: 0, hasLeft: false },
    show: (text) => {
      chat.shown.push(text);
    },
    answer: async (change) => {
      change();
      chat.answers += 1;
      session.answered(`answer ${chat.answers}`);
    },
    prefill: (text) => {
      if (canEdit) chat.prefilled.push(text);
      return canEdit;
    },
    leave: () => {
      chat.hasLeft = true;
    },
  };
  return chat;
}

function talk(...turns: readonly string[]): Session {
  const session = new Session({ system: "S" });
  for (const turn of turns) {
    session.say(turn);
    session.answered(turn.toUpperCase());
  }
  return session;
}
const texts = (session: Session) => session.messages.map(({ content }) => content);
const refused = (message: string | RegExp) => ({
  code: "ERR_USAGE",
  message: typeof message === "string" ? expect.stringContaining(message) : expect.stringMatching(message),
});

test("/help has a line for every command, in as many columns as there are", async () => {
  for (const width of [200, 80, 40, 20]) {
    const chat = chatOf(talk(), { width });
    await runCommand("/help", chat);
    const [text = ""] = chat.shown;
    for (const { name, about } of COMMANDS) {
      expect(text).toMatch(new RegExp(`^/${name}\\b`, "m"));
      expect(text.replace(/\s+/g, " ")).toContain(about);
    }
    const longest = Math.max(...text.split("\n").map((line) => line.length));
    expect(longest).toBeLessThanOrEqual(width);
  }
});

test("/undo, one or several", async () => {
  const chat = chatOf(talk("a", "b", "c"));
  await runCommand("/undo", chat);
  expect(texts(chat.session)).toEqual(["S", "a", "A", "b", "B"]);
  await runCommand("/undo 5", chat);
  expect(texts(chat.session)).toEqual(["S"]);
  expect(chat.shown).toEqual(["a message was taken back", "2 messages were taken back"]);
  await expect(runCommand("/undo", chat)).rejects.toMatchObject(refused("/undo: there is no message to take back"));
  await expect(runCommand("/undo x", chat)).rejects.toMatchObject(
    refused("/undo: expected a number of messages, got x"),
  );
  await expect(runCommand("/undo 0", chat)).rejects.toMatchObject(refused("/undo: expected a number"));
});

test("/regen and /edit answer again", async () => {
  const chat = chatOf(talk("a", "b"));
  await runCommand("/regen", chat);
  expect(texts(chat.session)).toEqual(["S", "a", "A", "b", "answer 1"]);
  await runCommand("/edit  c d ", chat);
  expect(texts(chat.session)).toEqual(["S", "a", "A", "c d", "answer 2"]);
  await runCommand("/edit", chat);
  expect(texts(chat.session)).toEqual(["S", "a", "A"]);
  expect(chat.prefilled).toEqual(["c d"]);
  const empty = chatOf(talk());
  for (const command of ["/regen", "/edit", "/edit x"]) {
    await expect(runCommand(command, empty)).rejects.toMatchObject(refused("there is no message to"));
  }
  const lines = chatOf(talk("a"), { canEdit: false });
  await expect(runCommand("/edit", lines)).rejects.toMatchObject(refused("/edit: expected the new text"));
  expect(texts(lines.session)).toEqual(["S", "a", "A"]);
});

test("/system shows, sets and takes away", async () => {
  const chat = chatOf(talk("a"));
  for (const command of ["/system", "/system Be brief.", '/system ""', "/system"]) await runCommand(command, chat);
  expect(chat.shown).toEqual(["system: S", "system: Be brief.", "no system message", "no system message"]);
  expect(texts(chat.session)).toEqual(["a", "A"]);
});

test("/set has the sampling options of the command line, with their checks", async () => {
  const chat = chatOf(talk());
  await runCommand("/set", chat);
  expect(chat.shown[0]!.split("\n")).toContain("top-p default");
  for (const command of [
    "/set temp 0.5",
    "/set --top-k 3",
    "/set stop a b",
    "/set ignore-eos true",
    "/set on-overflow slide",
  ]) {
    await runCommand(command, chat);
  }
  expect(chat.session.settings).toEqual({ temp: 0.5, topK: 3, stop: ["a b"], ignoreEos: true, onOverflow: "slide" });
  await runCommand("/set temp default", chat);
  expect(chat.session.settings).not.toHaveProperty("temp");
  expect(chat.shown.at(-1)).toBe("temp default");
  for (const [command, message] of [
    ["/set temp", "/set temp: expected a value"],
    ["/set temp x", 'temp: "x" is no value of it. Expected a number from 0 to 100.'],
    ["/set tmp 1", "no setting is named tmp. Did you mean temp?"],
    ["/set weather 1", "no setting is named weather. There are max-tokens"],
    ["/set ignore-eos 1", "ignore-eos: expected true or false"],
  ] as const) {
    await expect(runCommand(command, chat)).rejects.toMatchObject(refused(message));
  }
});

test("/show has the conversation, what is left out, and the prompt", async () => {
  const chat = chatOf(talk("a", "b"));
  chat.session.leaveOut(2);
  await runCommand("/show", chat);
  await runCommand("/show prompt", chat);
  expect(chat.shown).toEqual([
    "system: S\nuser (left out): a\nassistant (left out): A\nuser: b\nassistant: B",
    "<S><b><B>",
  ]);
  await expect(runCommand("/show x", chat)).rejects.toMatchObject(
    refused('/show: expected nothing or "prompt", got x'),
  );
  const empty = chatOf(new Session());
  await runCommand("/show", empty);
  expect(empty.shown).toEqual(["the conversation is empty"]);
});

test("/save writes what /load reads, and overwrites nothing that is somebody else's", async () => {
  const chat = chatOf(talk("a"));
  const file = join(dir, "one file.json");
  await runCommand(`/save ${file}`, chat);
  await runCommand(`/save "${file}"`, chat); // its own
  expect(chat.shown[0]).toBe(`3 messages written to ${file}`);
  const other = chatOf(talk());
  await expect(runCommand(`/save ${file}`, other)).rejects.toMatchObject(
    refused(`/save --force ${file} overwrites it`),
  );
  await runCommand(`/load ${file}`, other);
  expect(texts(other.session)).toEqual(["S", "a", "A"]);
  other.session.say("b");
  await runCommand(`/save ${file}`, other); // it was read here
  const third = chatOf(new Session());
  await runCommand(`/load ${file}`, third);
  expect(third.shown).toEqual([`4 messages read from ${file}; /regen answers the last one`]);
  await runCommand(`/save --force ${file}`, chat);
  expect(JSON.parse(readFileSync(file, "utf8")).messages).toHaveLength(3);
});

test("files that cannot be written or read are named, and leave nothing", async () => {
  const chat = chatOf(talk("a"));
  mkdirSync(join(dir, "folder"));
  writeFileSync(join(dir, "latin1.json"), Buffer.from([0x5b, 0xe9, 0x5d]));
  writeFileSync(join(dir, "wrong.json"), "[1]");
  for (const [command, message] of [
    ["/save", "/save: expected a file"],
    ["/load", "/load: expected a file"],
    [`/load ${dir}/latin1.json x`, /cannot be read: ENOENT/],
    [`/save ${dir}/no/file`, /^\/save .*no\/file: cannot be written: ENOENT/],
    [`/save --force ${dir}/folder`, /^\/save .*folder: cannot be written: E/],
    [`/load ${dir}/no`, /^\/load .*no: cannot be read: ENOENT/],
    [`/load ${dir}/folder`, /^\/load .*folder: cannot be read: EISDIR/],
    [`/load ${dir}/latin1.json`, /latin1\.json: not valid UTF-8 at byte 1/],
    [`/load ${dir}/wrong.json`, /^\/load: .*wrong\.json: messages\[0\]: expected/],
  ] as const) {
    await expect(runCommand(command, chat)).rejects.toMatchObject(refused(message));
  }
  expect(texts(chat.session)).toEqual(["S", "a", "A"]);
  const { readdirSync } = await import("node:fs");
  expect(readdirSync(dir).filter((name) => name.endsWith(".part"))).toEqual([]);
});

test("/stats counts what was computed", async () => {
  const before = chatOf(talk());
  await runCommand("/stats", before);
  expect(before.shown[0]).toMatch(/^messages +1\ncontext +512 tokens$/);
  const timings = { firstTokenMs: 1, promptMs: 1, promptTokensPerSecond: 100, decodeMs: 1, decodeTokensPerSecond: 20 };
  const usage = { promptTokens: 100, completionTokens: 20, cachedTokens: 90 };
  const chat = chatOf(talk("a"), { last: { type: "end", text: "", reason: "eos", seed: 5, usage, timings } });
  chat.session.leaveOut(2);
  await runCommand("/stats", chat);
  expect(chat.shown[0]!.replace(/ +/g, " ").split("\n")).toEqual([
    "messages 3, 2 left out",
    "context 120 of 512 tokens, 120.0 KiB of f16 cache",
    "prompt 100 tokens, 10 computed, 100.0 tokens/s",
    "answer 20 tokens, 20.0 tokens/s, seed 5",
  ]);
});

test("/clear and /exit, by whatever name", async () => {
  const chat = chatOf(talk("a"));
  await runCommand("/clear", chat);
  expect(texts(chat.session)).toEqual(["S"]);
  for (const name of ["exit", "quit", "bye"]) {
    chat.hasLeft = false;
    await runCommand(`/${name}`, chat);
    expect(chat.hasLeft).toBe(true);
  }
});

test("what is no command is refused, with the one that was meant", async () => {
  const chat = chatOf(talk());
  for (const [command, message] of [
    ["/undi", "no command is named /undi: did you mean /undo?"],
    ["/etc/passwd", "no command is named /etc/passwd: /help lists them; a message that begins with / stands between"],
    ["/", "no command is named /: /help lists them"],
    ["/clear all", "/clear: expected nothing after it"],
  ] as const) {
    await expect(runCommand(command, chat)).rejects.toMatchObject(refused(message));
  }
});
