// What the tests of quipu chat have in common: a model that answers, and its answers.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { alteredStoryteller } from "./models.js";
import { quipu } from "./run-cli.js";

export const TEMPLATE = `{% for m in messages %}{{ 'bot:' ~ m.content if m.role == 'assistant' else m.role ~ ': ' ~ m.content }}\n{% endfor %}{% if add_generation_prompt %}bot:{% endif %}`;

/** A storyteller with a chat template, in `dir`/model, and how to chat with it. */
export function chatModel(dir: string) {
  const model = alteredStoryteller(join(dir, "model"), { max_position_embeddings: 4096 });
  writeFileSync(join(model, "chat_template.jinja"), TEMPLATE);
  const CHAT = ["chat", "-m", model, "-t", "1", "--temp", "0", "--ignore-eos"];
  const SHORT = [...CHAT, "-n", "6"];
  /** What a conversation of these lines is answered, by lines of stdin. */
  async function answers(...lines: readonly string[]): Promise<string[]> {
    const input = lines.map((line) => `${line}\n`).join("");
    const { status, stdout, stderr } = await quipu([...SHORT, "--quiet"], { input });
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    return stdout.split("\n").slice(0, -1);
  }
  /** LONG answers for seconds. */
  return { model, CHAT, SHORT, LONG: [...CHAT, "-n", "-1"], answers };
}
