// Renders what prove_templates.py asks for, from stdin to stdout: { text } or { error } for every case, with `unmarked`, an error, where
// control tokens in messages could not be told from the template's.
import { readFileSync } from "node:fs";
import { ChatTemplate, isQuipuError, parseChatRequest } from "../../dist/index.js";
import { ControlTokens } from "../../dist/tokenizer/control-tokens.js";

const { now, tokens, sources, requests } = JSON.parse(readFileSync(0, "utf8"));

/** The time that strftime_now gives. */
const RealDate = Date;
globalThis.Date = class extends RealDate {
  constructor(...parts) {
    super(...(parts.length === 0 ? [now] : parts));
  }
  static now() {
    return now;
  }
};

const templates = new Map(
  Object.entries(sources).map(([name, source]) => [name, new ChatTemplate(source, tokens, name)]),
);

const control = new ControlTokens([
  ...Object.values(tokens),
  ..."<think> </think> <|im_end|> [INST] <tool_call> <｜User｜>".split(" "),
]);

const results = requests.map(({ template, request }) => {
  try {
    const { messages, otherFields: _, ...options } = parseChatRequest(request);
    const rendering = templates.get(template).open(messages, options);
    return { text: rendering.text, unmarked: unmarked(rendering) };
  } catch (error) {
    if (!isQuipuError(error)) throw error;
    return { error: `${error.code}: ${error.message}` };
  }
});
function unmarked(rendering) {
  try {
    control.find(rendering, "marked");
  } catch (error) {
    return error.message;
  }
}
process.stdout.write(JSON.stringify(results));
