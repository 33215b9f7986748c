// quipu chat: a conversation with a model that has a chat template.
import { basename, resolve } from "node:path";
import { isQuipuError, loadChatTemplate, modelFolder, QuipuError } from "../../index.js";
import { runChat } from "../chat/chat.js";
import { History, historyFile } from "../chat/history.js";
import { type ChatSource, LineSource } from "../chat/input.js";
import { Session, type SessionStart } from "../chat/session.js";
import { type ChatInputOptions, readChatInput, readText } from "../chat-input.js";
import type { Context } from "../context.js";
import { ensureModel } from "../fetch.js";
import { loadFrom, type ModelOptions } from "../model-options.js";
import { pickSampling, type SamplingOptions } from "../sampling-options.js";
import { isInteractive } from "../terminal/output.js";
import { Progress } from "../terminal/progress.js";
import { visible } from "../terminal/visible.js";

export interface ChatCommandOptions extends ModelOptions, SamplingOptions, ChatInputOptions {
  readonly system?: string;
  /** What is typed is kept for the next session. */
  readonly history?: boolean;
}

/** @param started how, for the error of a model that cannot chat. */
export async function chat(options: ChatCommandOptions, context: Context, started = "chat"): Promise<void> {
  const { system, messages: file, quiet = false, history: keeps = true } = options;
  if (file === "-")
    throw new QuipuError("ERR_USAGE", "--messages -: stdin is where the messages of a chat come from: give a file");
  if (options.continue)
    throw new QuipuError(
      "ERR_USAGE",
      "--continue: a chat answers messages; quipu --messages FILE --continue goes on with one",
    );
  await ensureModel(options.model, options, context); // who answers that question types messages after it
  const folder = modelFolder(options.model);
  const template = await loadChatTemplate(folder);
  const name = basename(resolve(options.model ?? folder));
  const { messages: _, ...beside } = options;
  const own = (await readChatInput(beside, context.signal)).optionsFor(template);
  const request = file === undefined ? undefined : await readText("--messages", file, context.signal);
  const session = startSession(file, { request, system, options: own, settings: pickSampling(options) });
  if (template.names.length === 0 && session.request.chatTemplate === undefined) throw noTemplate(name, started);
  const say = (text: string) => {
    if (!quiet) process.stderr.write(`${visible(text)}\n`);
  };
  const source = await open(keeps, context, say);
  try {
    const progress = new Progress({ quiet });
    const model = await loadFrom(options, progress, context);
    try {
      if (isInteractive()) {
        const { contextLength } = model.stats();
        say(`${name}, ${contextLength} tokens of context. /help lists commands, Ctrl-D leaves.`);
        if (session.isOpen) say(`the last message of ${file} waits for an answer: /regen`);
      }
      await runChat({ model, session, source, progress, context, isInteractive: isInteractive(), quiet });
    } finally {
      await model.dispose();
    }
  } finally {
    source.close();
  }
}

/** @throws {QuipuError} ERR_USAGE for a file that is no conversation, named. */
function startSession(file: string | undefined, start: SessionStart): Session {
  try {
    return new Session(start);
  } catch (error) {
    throw isQuipuError(error)
      ? new QuipuError(error.code, `--messages ${file}: ${error.message}`, { cause: error })
      : error;
  }
}

async function open(keeps: boolean, context: Context, say: (text: string) => void): Promise<ChatSource> {
  if (!isInteractive()) return new LineSource(context.signal);
  const { TerminalSource } = await import("../chat/terminal-input.js");
  const history = new History(keeps ? historyFile() : undefined, (problem) => say(`quipu: warning: ${problem}`));
  return new TerminalSource(context, history);
}

function noTemplate(name: string, started: string): QuipuError {
  return new QuipuError(
    "ERR_USAGE",
    `${started}: ${name} has no chat template, so it continues texts and answers none: quipu --raw -p "Once upon a time". ` +
      "An instruct checkpoint has one; --chat-template gives it another.",
  );
}
