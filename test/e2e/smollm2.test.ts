// A published chat model, as README shows it: a question from -m and through a pipe.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { describeWhere } from "../where.js";
import { bash, eventsOf, quipu, ROOT } from "./run-cli.js";

const SMOLLM2 = join(ROOT, "build/models/smollm2");
const reason = `${SMOLLM2} does not exist (scripts/make-smollm2.sh makes it)`;

describeWhere(existsSync(join(SMOLLM2, "config.json")), reason)("SmolLM2", () => {
  const CHAT = ["-m", SMOLLM2, "--temp", "0", "-n", "24"];

  test("answers a question through its chat template, and ends", async () => {
    const { status, stdout, stderr } = await quipu([...CHAT, "What is the capital of France?", "--json"]);
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    const events = eventsOf(stdout);
    expect(events.map(({ text = "" }) => text).join("")).toMatch(/Paris/);
    expect(events.at(-1)).toMatchObject({ reason: "eos" });
  });

  test("answers a question that echo pipes in", async () => {
    const { stdout } = await bash(`echo "What is the capital of France?" | quipu ${CHAT.join(" ")}`);
    expect(stdout).toMatch(/Paris/);
  });

  test("answers about a text that is piped in", async () => {
    const script = `printf 'Anna has a red bicycle. Ben has a green car.' | quipu ${CHAT.join(" ")} "What colour is the bicycle?"`;
    const { status, stdout } = await bash(script);
    expect(status).toBe(0);
    expect(stdout).toMatch(/red/i);
  });

  test("--raw continues the text; --system changes the answer", async () => {
    const raw = await quipu([...CHAT, "-n", "8", "--raw", "The capital of France is"]);
    expect(raw.stdout).toMatch(/^ Paris/);
    const prompt = ["inspect", "prompt", "-m", SMOLLM2, "--system", "Answer in one word.", "Hi", "--json"];
    const { text } = JSON.parse((await quipu(prompt)).stdout);
    expect(text).toMatch(
      /^<\|im_start\|>system\nAnswer in one word.<\|im_end\|>\n<\|im_start\|>user\nHi<\|im_end\|>\n<\|im_start\|>assistant\n$/,
    );
  });
});
