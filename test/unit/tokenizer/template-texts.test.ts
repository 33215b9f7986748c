// Small templates in the manner of published ones, rendered as transformers renders them (test/reference/template_texts.py).
import { readFileSync } from "node:fs";
import { jest } from "@jest/globals";
import { isQuipuError } from "#quipu/index.js";
import { parseChatRequest } from "#quipu/tokenizer/chat-request.js";
import { ChatTemplate } from "#quipu/tokenizer/chat-template.js";

interface Case {
  readonly template: string;
  readonly conversation: string;
  /** JSON, so that 1.0 is no 1. */
  readonly options: string;
  readonly text: string | null;
}
const golden: {
  readonly now: number;
  readonly tokens: Record<string, string>;
  readonly conversations: Record<string, string>;
  readonly cases: Case[];
} = JSON.parse(readFileSync("test/reference/template_texts.golden.json", "utf8"));

const { TZ } = process.env;
beforeAll(() => {
  process.env.TZ = "UTC";
  jest.useFakeTimers({ now: golden.now });
});
afterAll(() => {
  jest.useRealTimers();
  if (TZ === undefined) delete process.env.TZ;
  else process.env.TZ = TZ;
});

const names = [...new Set(golden.cases.map(({ template }) => template))];

describe.each(names)("%s", (name) => {
  const source = readFileSync(`test/reference/templates/${name}`, "utf8");
  const template = new ChatTemplate(source, golden.tokens, name);
  const cases = golden.cases.filter((one) => one.template === name);

  test.each(cases.map((one) => [one.conversation, one.options, one] as const))("%s, %s", (_name, _options, one) => {
    const { messages, otherFields: _, ...rest } = parseChatRequest(requestOf(one));
    let text: string | null;
    try {
      text = template.render(messages, rest);
    } catch (error) {
      if (!isQuipuError(error)) throw error;
      text = null;
    }
    expect(text).toBe(one.text);
  });
});

/** JSON text as it is: JSON.parse would make 1 of 1.0. */
function requestOf({ conversation, options }: Case): string {
  return `${options.slice(0, -1)}, "messages": ${golden.conversations[conversation]!}}`;
}
