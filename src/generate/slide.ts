// A conversation that outgrows the context: whole turns are left out, the oldest first, and what is said is the answer to the rest.
import { QuipuError } from "../errors.js";
import type { ChatMessage, EffectiveSettings, GenerateOptions, Prompt } from "./events.js";
import { type ContextRoom, isConversation, lastTurnError } from "./prompt.js";

/** The ids of a prompt that fits, and what was left out of it. */
export interface FittedPrompt {
  readonly ids: Int32Array;
  readonly droppedTokens: number;
  readonly droppedMessages: number;
}

/** Tokens of an answer that may become as long as it likes, as far as room is made for it. */
const OPEN_ANSWER = 256;

/**
 * Leaves out as few turns as it takes. Once one must go, turns go until a quarter of the context is free: the next prompts then begin as this one does, if the caller
 * leaves out the same messages, and are computed from where they differ.
 *
 * @param whole the ids of `prompt`.
 * @param encode the ids of other messages in its place.
 * @throws {QuipuError} ERR_CONTEXT_OVERFLOW where the last turn alone does not fit; ERR_USAGE for a prompt that has no turns.
 */
export function slidePrompt(
  prompt: Prompt,
  whole: Int32Array,
  encode: (messages: readonly ChatMessage[]) => Int32Array,
  room: ContextRoom,
  { maxTokens }: EffectiveSettings,
  { raw = true }: GenerateOptions,
): FittedPrompt {
  const messages = messagesOf(prompt, raw);
  const { contextLength, needed } = room;
  const quarter = Math.floor(contextLength / 4);
  const answer = needed === 0 ? 0 : Math.max(needed, Math.min(maxTokens < 1 ? OPEN_ANSWER : maxTokens, quarter));
  if (whole.length + answer <= contextLength) return { ids: whole, droppedTokens: 0, droppedMessages: 0 };
  const first = messages.findIndex(({ role }) => !isInstruction(role));
  const head = first < 0 ? messages.length : first;
  const starts = turnsOf(messages, head);
  const after = (turns: number) => encode([...messages.slice(0, head), ...messages.slice(starts[turns])]);
  // The fewest turns after which a quarter is free: each one more makes the prompt shorter.
  let [low, high] = [0, starts.length - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (after(middle).length <= contextLength - quarter) high = middle;
    else low = middle + 1;
  }
  const ids = low === 0 ? whole : after(low);
  if (ids.length + needed > contextLength) throw lastTurnError(ids.length, room, head > 0);
  return { ids, droppedTokens: whole.length - ids.length, droppedMessages: (starts[low] ?? head) - head };
}

function messagesOf(prompt: Prompt, raw: boolean): readonly ChatMessage[] {
  if (isConversation(prompt)) return prompt as readonly ChatMessage[];
  if (typeof prompt === "string" && !raw) return [{ role: "user", content: prompt }];
  throw new QuipuError(
    "ERR_USAGE",
    `onOverflow: "slide" leaves out turns of a conversation: expected messages, got ${typeof prompt === "string" ? "a raw text" : "ids"} (truncate-head and truncate-middle leave out ids)`,
    { option: "onOverflow" },
  );
}

function isInstruction(role: string): boolean {
  return role === "system" || role === "developer";
}

/** Where turns begin, from `head` on: what the user says, with all that follows until the user speaks again. */
function turnsOf(messages: readonly ChatMessage[], head: number): number[] {
  const starts = messages.flatMap(({ role }, i) =>
    i > head && role === "user" && messages[i - 1]!.role !== "user" ? [i] : [],
  );
  return [head, ...starts];
}
