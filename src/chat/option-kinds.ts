// What the options of a conversation may be.
import { either, flag, isObject, type Kind, type Kinds, nonEmptyString, string } from "../arguments.js";
import type { ChatOptions } from "./message.js";

/** What is in them is checked where they are rendered. */
const objects: Kind = { expected: "a list of objects", accepts: Array.isArray };

export const CHAT_OPTIONS: Kinds<ChatOptions> = {
  addGenerationPrompt: flag,
  continueFinalMessage: either(flag, nonEmptyString),
  tools: objects,
  documents: objects,
  templateVariables: {
    expected: "an object: values by name",
    accepts: (value) => isObject(value) && !Array.isArray(value),
  },
  chatTemplate: string,
};
