// What --on-overflow has left out, for people.
import type { StartEvent } from "../../index.js";

/** "the oldest 2 messages are left out (310 tokens), as the context is full"; of ids "50 tokens of the prompt are …"; undefined where nothing is. */
export function describeDropped({ droppedMessages, droppedTokens }: StartEvent): string | undefined {
  if (droppedTokens === 0) return undefined;
  if (droppedMessages === 0) {
    const tokens = droppedTokens === 1 ? "1 token of the prompt is" : `${droppedTokens} tokens of the prompt are`;
    return `${tokens} left out, as the context is full`;
  }
  const messages = droppedMessages === 1 ? "the oldest message is" : `the oldest ${droppedMessages} messages are`;
  return `${messages} left out (${droppedTokens} tokens), as the context is full`;
}
