// What changes where a stream is a terminal: a last newline, progress that is erased, colours, keys.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { stripVTControlCharacters } from "node:util";
import { temporaryFolder } from "../checkpoint-writer.js";
import { describeWhere } from "../where.js";
import { alteredStoryteller } from "./models.js";
import { quipu } from "./run-cli.js";
import { hasTerminal, NO_TERMINAL, quipuOnTerminal } from "./terminal.js";

const ESC = "\x1b";
const OPTIONS = ["-s", "1", "-n", "24", "-t", "1"];
const PROMPT = "Once upon a time";
/** Milliseconds of processor time after Ctrl-C. */
const SOON = 250;
const dir = temporaryFolder();
/** A prompt of 2,250 tokens takes half a second. */
const LONG = alteredStoryteller(join(dir, "long"), { max_position_embeddings: 4096 });
const longPrompt = join(dir, "long.txt");
writeFileSync(longPrompt, "Once upon a time there was a dog. ".repeat(250));

describeWhere(hasTerminal, NO_TERMINAL)("a terminal", () => {
  test("on stdout gets a last newline, no prompt and no colours", async () => {
    const [{ stdout }, shown] = await Promise.all([
      quipu([PROMPT, ...OPTIONS]),
      quipuOnTerminal([PROMPT, ...OPTIONS], { terminal: ["stdin", "stdout"] }),
    ]);
    expect(shown).toMatchObject({ status: 0, terminal: `${stdout}\r\n`, stderr: "" });
  });

  test("on stdout gets the newline once, after text that ends with one too, and none with --json", async () => {
    const newline = ["--logit-bias", "\n=inf", "-n", "2", "-t", "1"];
    const [text, ended, json] = await Promise.all([
      quipuOnTerminal([PROMPT, ...newline], { terminal: ["stdin", "stdout"] }),
      quipuOnTerminal([PROMPT, ...newline, "--newline"], { terminal: ["stdin", "stdout"] }),
      quipuOnTerminal([PROMPT, "-n", "1", "-t", "1", "--json"], { terminal: ["stdin", "stdout"] }),
    ]);
    expect(text.terminal).toBe("\r\n\r\n\r\n");
    expect(ended.terminal).toBe("\r\n");
    expect(json.terminal).toMatch(/"reason":"length".*\}\r\n$/);
    expect(json.terminal).not.toMatch(/\r\n\r\n/);
  });

  test("on stdin only: no newline, and stdin is not waited for", async () => {
    const [{ stdout }, shown] = await Promise.all([
      quipu([PROMPT, ...OPTIONS]),
      quipuOnTerminal([PROMPT, ...OPTIONS], { terminal: ["stdin"] }),
    ]);
    expect(shown).toMatchObject({ status: 0, terminal: "", stdout, stderr: "" });
  });

  test("on stdin, without a prompt, is a usage error", async () => {
    const { status, stderr } = await quipuOnTerminal([], { terminal: ["stdin"] });
    expect({ status, stderr }).toMatchObject({ status: 2, stderr: expect.stringMatching(/^quipu: no prompt: give/) });
  });

  test("on stdin, with -p -, is read until Ctrl-D", async () => {
    const [{ stdout }, typed] = await Promise.all([
      quipu(["-p", `${PROMPT}\n`, ...OPTIONS]),
      quipuOnTerminal(["-p", "-", ...OPTIONS], {
        terminal: ["stdin", "stderr"],
        steps: [
          { after: "", send: `${PROMPT}\n` },
          { after: `${PROMPT}\r\n`, send: "\x04" },
        ],
      }),
    ]);
    expect(typed).toMatchObject({ status: 0, stdout });
  });

  test("on stderr shows progress of a long prompt, and the line is erased before text comes", async () => {
    const args = ["-m", LONG, "-f", longPrompt, "-n", "1", "-t", "1", "-b", "64"];
    const { status, terminal, stdout } = await quipuOnTerminal(args, { terminal: ["stderr"] });
    const erase = `\r${ESC}[K`;
    expect(status).toBe(0);
    expect(terminal.split(erase).slice(1, -1).join()).toMatch(/^prompt [1-9]\d? %(,prompt [1-9]\d? %)+$/);
    expect(terminal.endsWith(erase)).toBe(true);
    expect(stdout).not.toContain(ESC);
  });

  test("on stderr stays clean with --quiet", async () => {
    const args = ["-m", LONG, "-f", longPrompt, "-n", "1", "-t", "1", "-b", "64", "--quiet"];
    expect(await quipuOnTerminal(args, { terminal: ["stderr"] })).toMatchObject({ status: 0, terminal: "" });
  });

  test("not on stderr: no progress there", async () => {
    const args = ["-m", LONG, "-f", longPrompt, "-n", "1", "-t", "1", "-b", "64"];
    const { terminal, stderr } = await quipuOnTerminal(args, { terminal: ["stdin", "stdout"] });
    expect(stderr).toBe("");
    expect(terminal).not.toContain(ESC);
  });

  test("gives Ctrl-C in the middle of a prompt: 130, and the line is erased", async () => {
    const steps = [{ after: "prompt", send: "\x03" }];
    const { status, terminal, ms } = await quipuOnTerminal(["-m", LONG, "-f", longPrompt, "-t", "1", "-b", "64"], {
      steps,
    });
    expect(status).toBe(130);
    expect(terminal).toMatch(new RegExp(`prompt \\d+ %(\\^C)?\r${ESC}\\[K`));
    expect(ms).toBeLessThan(SOON);
  });

  test("gives Ctrl-C in the middle of the text: 130, the text stays, and a newline ends it", async () => {
    const args = ["-m", LONG, PROMPT, "-s", "1", "--ignore-eos", "-t", "1"];
    const { stdout } = await quipu([...args, "-n", "24"]);
    const steps = [{ after: stdout.slice(0, 12), send: "\x03" }];
    const { status, terminal, ms } = await quipuOnTerminal([...args, "-n", "-1"], { steps });
    expect(status).toBe(130);
    expect(terminal.replace("^C", "")).toContain(stdout.slice(0, 12));
    expect(terminal).toMatch(/\r\n$/);
    expect(ms).toBeLessThan(SOON);
  });

  test("colours the tokens of `tokens --show` and `inspect prompt`, unless NO_COLOR is set", async () => {
    const commands = [
      ["tokens", "--show", "Hello you"],
      ["inspect", "prompt", "Hello you"],
    ];
    for (const command of commands) expect((await quipuOnTerminal(command)).terminal).toContain(`${ESC}[36m`);
    for (const command of commands) {
      expect((await quipuOnTerminal(command, { env: { NO_COLOR: "1" } })).terminal).not.toContain(ESC);
    }
    for (const command of commands) expect((await quipu(command)).stdout).not.toContain(ESC);
  });

  test("shows bytes of split characters and control characters, and obeys none", async () => {
    const { terminal } = await quipuOnTerminal(["tokens", "--show", `ö${ESC}[31m`]);
    const [shown = ""] = terminal.split("\r\n");
    expect(stripVTControlCharacters(shown)).toBe("\\xc3\\xb6\\x1b[31m");
    expect(shown).not.toContain(`${ESC}[31m`);
  });
});
