// The commands of a chat, one entry each: /help is made of them, and so is what docs/cli.md says.
import { existsSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { isQuipuError, QuipuError } from "../../errors.js";
import type { EndEvent, Model } from "../../index.js";
import { nearest } from "../../nearest.js";
import { readText } from "../chat-input.js";
import { columnsOf } from "../terminal/columns.js";
import { formatBytes } from "../terminal/tables.js";
import { type Session, textOf } from "./session.js";
import { changeSetting, listSettings } from "./settings.js";

/** What commands work on. */
export interface Chat {
  readonly session: Session;
  readonly model: Model;
  /** Of the last answer. */
  readonly last: EndEvent | undefined;
  /** Columns of the terminal. */
  readonly width: number;
  /** Shows text that is not the model's answer; it is a line or more. */
  show(text: string): void;
  /** Changes the conversation and answers its last message. Where nothing is said to it, the conversation is what it was. */
  answer(change: () => void): Promise<void>;
  /** Puts a text into the next line, to be changed; false where nobody could. */
  prefill(text: string): boolean;
  leave(): void;
  /** The program is to end. */
  readonly signal: AbortSignal;
  /** Files that were written or read in this session: they may be written again. */
  readonly files: Set<string>;
}

export interface ChatCommand {
  readonly name: string;
  readonly aliases?: readonly string[];
  /** Its arguments, for /help. */
  readonly takes?: string;
  readonly about: string;
  run(argument: string, chat: Chat): void | Promise<void>;
}

export const COMMANDS: readonly ChatCommand[] = [
  {
    name: "help",
    aliases: ["?"],
    about: "this list",
    run: (_, chat) => chat.show(help(chat.width)),
  },
  {
    name: "clear",
    about: "forget the conversation; the system message and the settings stay",
    run: (_, { session, show }) => {
      session.clear();
      show("the conversation is empty");
    },
  },
  {
    name: "undo",
    takes: "[n]",
    about: "take back the last message and its answer, or the last n",
    run: (argument, { session, show }) => {
      const wanted = argument === "" ? 1 : Number(argument);
      if (!(Number.isInteger(wanted) && wanted > 0))
        throw usage(`/undo: expected a number of messages, got ${argument}`);
      let taken = 0;
      while (taken < wanted && session.undo() !== undefined) taken += 1;
      if (taken === 0) throw usage("/undo: there is no message to take back");
      show(`${taken === 1 ? "a message was" : `${taken} messages were`} taken back`);
    },
  },
  {
    name: "regen",
    about: "answer the last message again; with a seed that is set, by the next one",
    run: async (_, chat) => {
      if (chat.session.lastText === undefined) throw usage("/regen: there is no message to answer");
      await chat.answer(() => chat.session.reopen());
    },
  },
  {
    name: "edit",
    takes: "[text]",
    about: "change the last message and answer it again; without a text it is put into the line",
    run: async (argument, chat) => {
      const { session } = chat;
      const before = session.lastText;
      if (before === undefined) throw usage("/edit: there is no message to change");
      if (argument === "") {
        if (!chat.prefill(before)) throw usage("/edit: expected the new text: there is no terminal to change it on");
        session.undo();
        return;
      }
      await chat.answer(() => {
        session.undo();
        session.say(argument);
      });
    },
  },
  {
    name: "system",
    takes: "[text]",
    about: 'show the system message, or set it; "" takes it away',
    run: (argument, { session, show }) => {
      if (argument !== "") session.system = argument === '""' ? "" : argument;
      show(session.system === undefined ? "no system message" : `system: ${session.system}`);
    },
  },
  {
    name: "set",
    takes: "[name value]",
    about: "show the settings, or set one: /set temp 0.5, /set temp default",
    run: (argument, { session, show }) => {
      const [, name, value] = /^(\S+)(?:\s+(.*))?$/s.exec(argument) ?? [];
      if (name !== undefined) {
        if (value === undefined) throw usage(`/set ${name}: expected a value; "default" takes it back`);
        session.settings = changeSetting(session.settings, name, value);
      }
      const shown = listSettings(session.settings).filter(([each]) => name === undefined || each === name);
      show(shown.map(([each, is]) => `${each} ${is}`).join("\n"));
    },
  },
  {
    name: "show",
    takes: "[prompt]",
    about: "show the conversation, or the prompt that the model has of it",
    run: (argument, { session, model, show }) => {
      if (argument !== "" && argument !== "prompt") throw usage(`/show: expected nothing or "prompt", got ${argument}`);
      if (session.messages.length === 0) return show("the conversation is empty");
      if (argument === "") return show(describeMessages(session));
      const ids = model.encode(session.prompt, session.request);
      show(model.tokenizer!.decode(ids, { special: true }));
    },
  },
  {
    name: "save",
    takes: "<file>",
    about:
      "write the conversation and what is set as JSON, which --messages reads too; --force before the file overwrites it",
    run: (argument, { session, show, files }) => {
      const [, force, given = ""] = /^(--force\s+)?(.*)$/s.exec(argument) ?? [];
      const path = pathOf("/save", given);
      if (session.messages.length === 0) throw usage("/save: the conversation is empty");
      if (force === undefined && existsSync(path) && !files.has(path)) {
        throw usage(`/save: ${path} is there already: /save --force ${given} overwrites it`);
      }
      const written = `${path}.${process.pid}.part`;
      try {
        writeFileSync(written, session.save());
        renameSync(written, path);
      } catch (cause) {
        rmSync(written, { force: true });
        throw new QuipuError("ERR_USAGE", `/save ${path}: cannot be written: ${(cause as Error).message}`, { cause });
      }
      files.add(path);
      show(`${count(session.messages.length, "message")} written to ${path}`);
    },
  },
  {
    name: "load",
    takes: "<file>",
    about: "go on with a conversation from a file: what /save wrote, or messages as OpenAI writes them",
    run: async (argument, { session, show, files, signal }) => {
      const path = pathOf("/load", argument);
      const text = await readText("/load", path, signal);
      try {
        session.load(text);
      } catch (error) {
        throw isQuipuError(error) ? usage(`/load: ${path}: ${error.message}`) : error;
      }
      files.add(path);
      const open = session.isOpen ? "; /regen answers the last one" : "";
      show(`${count(session.messages.length, "message")} read from ${path}${open}`);
    },
  },
  {
    name: "stats",
    about: "tokens of the context, of the last answer, and how fast it came",
    run: (_, chat) => chat.show(describeStats(chat)),
  },
  {
    name: "exit",
    aliases: ["quit", "bye"],
    about: "leave, as Ctrl-D does",
    run: (_, chat) => chat.leave(),
  },
];

/** Runs a line that begins with a slash. @throws {QuipuError} ERR_USAGE */
export async function runCommand(line: string, chat: Chat): Promise<void> {
  const [, name = "", argument = ""] = /^\/(\S*)\s*(.*)$/s.exec(line.trim()) ?? [];
  const command = COMMANDS.find((each) => each.name === name || each.aliases?.includes(name));
  if (command === undefined) {
    const near = nearest(
      name,
      COMMANDS.map((each) => each.name),
    );
    const meant = near === undefined ? "/help lists them" : `did you mean /${near}?`;
    throw usage(`no command is named /${name}: ${meant}; a message that begins with / stands between """`);
  }
  if (argument !== "" && command.takes === undefined) throw usage(`/${command.name}: expected nothing after it`);
  await command.run(argument.trim(), chat);
}

function help(width: number): string {
  const rows = COMMANDS.map(({ name, takes, about }): [string, string] => [
    `/${name}${takes === undefined ? "" : ` ${takes}`}`,
    about,
  ]);
  const keys: [string, string][] = [
    ['"""', "begins a message of several lines, and ends it; so do lines that are pasted"],
    ["Ctrl-C", "ends an answer, what was said stays; gives up a line; twice at an empty one leaves"],
    ["Ctrl-D", "leaves"],
  ];
  return columnsOf([...rows, ...keys], width);
}

function describeMessages({ messages, head, leftOut }: Session): string {
  return messages
    .map((message, i) => {
      const isLeftOut = i >= head && i < head + leftOut;
      return `${message.role}${isLeftOut ? " (left out)" : ""}: ${textOf(message)}`;
    })
    .join("\n");
}

function describeStats({ session, model, last, width }: Chat): string {
  const { contextLength, cacheBytesPerPosition, kvCache } = model.stats();
  const rows: [string, string][] = [["messages", String(session.messages.length) + leftOutOf(session)]];
  if (last === undefined) {
    rows.push(["context", `${contextLength} tokens`]);
  } else {
    const { usage, timings } = last;
    const used = usage.promptTokens + usage.completionTokens;
    const computed = usage.promptTokens - usage.cachedTokens;
    rows.push(
      [
        "context",
        `${used} of ${contextLength} tokens, ${formatBytes(used * cacheBytesPerPosition)} of ${kvCache} cache`,
      ],
      [
        "prompt",
        `${usage.promptTokens} tokens, ${computed} computed, ${timings.promptTokensPerSecond.toFixed(1)} tokens/s`,
      ],
      [
        "answer",
        `${usage.completionTokens} tokens, ${timings.decodeTokensPerSecond.toFixed(1)} tokens/s, seed ${last.seed}`,
      ],
    );
  }
  return columnsOf(rows, width);
}

function leftOutOf({ leftOut }: Session): string {
  return leftOut === 0 ? "" : `, ${leftOut} left out`;
}

function pathOf(command: string, given: string): string {
  const path = given.replace(/^(["'])(.*)\1$/s, "$2").replace(/^~(?=\/|$)/, () => homedir());
  if (path === "") throw usage(`${command}: expected a file`);
  return resolve(join(path));
}

function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? "" : "s"}`;
}

function usage(message: string): QuipuError {
  return new QuipuError("ERR_USAGE", message);
}
