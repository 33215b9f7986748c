// What --on-overflow slide has left out, for people.
import type { StartEvent } from "../../index.js";

/** "the oldest 2 messages (310 tokens) are left out: the context is full". */
export function describeDropped({ droppedMessages, droppedTokens }: StartEvent): string {
  const messages = droppedMessages === 1 ? "the oldest message is" : `the oldest ${droppedMessages} messages are`;
  return `${messages} left out (${droppedTokens} tokens), as the context is full`;
}
