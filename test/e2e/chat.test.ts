// quipu chat on a pseudo-terminal, as its user has it. Every step waits for what the terminal shows.
import { mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { stripVTControlCharacters } from "node:util";
import { temporaryFolder } from "../checkpoint-writer.js";
import { describeWhere } from "../where.js";
import { chatModel, TEMPLATE } from "./chats.js";
import { alteredStoryteller, alterJson, writeHollowWeights } from "./models.js";
import { CLI, quipu } from "./run-cli.js";
import { hasTerminal, NO_TERMINAL, quipuOnTerminal, type Step, type TerminalOptions } from "./terminal.js";

const dir = temporaryFolder();
const { model, CHAT, SHORT, LONG, answers } = chatModel(dir);
const state = join(dir, "state");

const PROMPT = ">>> ";
const ESC = "\x1b";

const key = (send: string): Step => ({ after: PROMPT, send });
const LEAVE = key("\x04");

/** A session, as a reader sees it: without what only moves the cursor or colours, and with plain newlines. */
async function session(args: readonly string[], steps: readonly Step[], options: TerminalOptions = {}) {
  const env = { XDG_STATE_HOME: join(state, "none"), ...options.env };
  const result = await quipuOnTerminal(args, { ...options, steps, env });
  const plain = stripVTControlCharacters(result.terminal).replace(/\r+\n/g, "\n");
  return { ...result, plain };
}

describeWhere(hasTerminal, NO_TERMINAL)("on a terminal", () => {
  test("messages are answered in turn, until Ctrl-D", async () => {
    const [one, two] = await answers("Hello", "Who are you?");
    const { status, plain } = await session(SHORT, [key("Hello\r"), key("Who are you?\r"), LEAVE]);
    expect(status).toBe(0);
    const note = "(cut off after 6 tokens: /set max-tokens)";
    expect(plain).toBe(
      `model, 4096 tokens of context. /help lists commands, Ctrl-D leaves.\n>>> Hello\n${one}\n${note}\n>>> Who are you?\n${two}\n${note}\n>>> \n`,
    );
  });

  test("quipu without a prompt starts it; with --quiet nothing is said but answers", async () => {
    const args = SHORT.slice(1);
    const [started, quiet] = await Promise.all([
      session(args, [key("/exit\r")]),
      session([...args, "--quiet"], [key("/exit\r")]),
    ]);
    expect(started).toMatchObject({ status: 0, plain: expect.stringMatching(/^model, 4096 tokens.*\n>>> \/exit\n$/) });
    expect(quiet).toMatchObject({ status: 0, plain: ">>> /exit\n" });
  });

  test.each([
    [
      "a model without a template",
      ["-t", "1"],
      /^quipu: no prompt: storyteller has no chat template.*: quipu --raw -p "Once upon a time"/,
    ],
    ["--raw", ["-m", model, "--raw"], /^quipu: no prompt: give words, -p/],
    ["--json", ["-m", model, "--json"], /^quipu: no prompt: give words, -p/],
    ["--no-stdin", ["-m", model, "--no-stdin"], /^quipu: no prompt: give words, -p/],
  ])("without a prompt, %s is a usage error", async (_, args, message) => {
    const { status, plain } = await session(args, []);
    expect({ status, plain }).toEqual({ status: 2, plain: expect.stringMatching(message) });
  });

  test("not where stdout is none: quipu without a prompt is a usage error, quipu chat reads lines", async () => {
    const [none, lines] = await Promise.all([
      quipuOnTerminal(SHORT.slice(1), { terminal: ["stdin"] }),
      quipuOnTerminal(SHORT, {
        terminal: ["stdin", "stderr"],
        steps: [
          { after: "", send: "Hello\n" },
          { after: "Hello\r\n", send: "\x04" },
        ],
      }),
    ]);
    expect(none).toMatchObject({ status: 2, stderr: expect.stringMatching(/^quipu: no prompt: give/) });
    expect(lines).toMatchObject({ status: 0, stdout: `${(await answers("Hello"))[0]}\n` });
  });

  test("Ctrl-C ends an answer: what was said stays, and the session goes on", async () => {
    const file = join(dir, "stopped.json");
    const steps = [
      key("Hello\r"),
      { after: "\n ", send: "\x03" }, // the answer has begun
      { after: "(stopped)", send: `/set max-tokens 6\r` },
      key("Go on\r"),
      key(`/save ${file}\r`),
      LEAVE,
    ];
    const { status, plain } = await session(LONG, steps);
    expect(status).toBe(0);
    const { messages } = JSON.parse(readFileSync(file, "utf8"));
    expect(messages).toHaveLength(4);
    const [, stopped, , next] = messages;
    const uninterrupted = await quipu([...CHAT, "-n", "60"], { input: "Hello\n" });
    const beginning = stopped.content.slice(0, 60);
    expect(beginning.length).toBeGreaterThan(1);
    expect(uninterrupted.stdout.slice(0, beginning.length)).toBe(beginning);
    writeFileSync(join(dir, "again.json"), JSON.stringify(messages.slice(0, 3)));
    const again = await quipu([
      "-m",
      model,
      "--messages",
      join(dir, "again.json"),
      "--temp",
      "0",
      "-n",
      "6",
      "--ignore-eos",
    ]);
    expect(again.stdout).toBe(next.content);
    expect(plain).toContain(next.content);
  });

  test("Ctrl-C before the answer begins takes the message back", async () => {
    const steps = [
      key(`${"the dog ran to the park. ".repeat(450)}\r`),
      { after: "prompt ", send: "\x03" },
      { after: "as it was before", send: "/show\r" },
      LEAVE,
    ];
    const { status, plain } = await session([...SHORT, "-b", "16"], steps);
    expect({ status, plain }).toEqual({
      status: 0,
      plain: expect.stringContaining("/show\nthe conversation is empty\n"),
    });
  });

  test("Ctrl-C gives up a line; at an empty one it says how to leave, and the second time leaves with 130", async () => {
    const steps = [
      key('"""abc\r'),
      { after: "... ", send: "def\x03" },
      key("ghi\x03"),
      key("\x03"),
      { after: "once more leaves", send: "/help\r" }, // in between
      key("\x03"),
      { after: "once more leaves", send: "\x03" },
    ];
    const { status, plain } = await session(SHORT, steps);
    expect(status).toBe(130);
    expect(plain).toContain('>>> """abc\n... def^C\n>>> ghi^C\n>>> ^C\nCtrl-C once more leaves');
    expect(plain).not.toContain("cut off"); // nothing was answered
  });

  test("SIGINT from elsewhere is Ctrl-C", async () => {
    const steps = [
      key("Hello\r"),
      { after: "\n ", signal: 2 },
      { after: "(stopped)", send: "x" },
      { after: "x", signal: 2 },
      { after: PROMPT, signal: 2 },
      { after: "once more leaves", signal: 2 },
    ];
    expect(await session(LONG, steps)).toMatchObject({ status: 130 });
  });

  test("SIGTERM ends it with 143, at a prompt and in an answer; the terminal is as it was", async () => {
    const script =
      'before=$(stty -g); trap "kill -TERM \\$!" TERM; "$@" <&0 & wait $!; wait $!; status=$?; test "$before" = "$(stty -g)" && echo same $status';
    const argv = ["bash", "-c", script, "bash"];
    for (const [steps, status] of [
      [[key("abc"), { after: "abc", signal: 15 }], 143],
      [[key("Hello\r"), { after: "\n ", signal: 15 }], 143],
      [[key("\x03"), { after: "once more leaves", send: "\x03" }], 130],
      [[LEAVE], 0],
    ] as const) {
      const { plain, terminal } = await session(LONG, steps, { argv });
      expect(plain).toMatch(new RegExp(`\nsame ${status}\n$`));
      expect(terminal.lastIndexOf(`${ESC}[?2004l`)).toBeGreaterThan(terminal.lastIndexOf(`${ESC}[?2004h`));
    }
  });

  test("keys that are pressed while it loads or answers wait for their turn", async () => {
    const steps = [
      { after: "", send: "Hello\r" }, // before there is a prompt
      { after: "\n ", send: "Who are you?\r/show\rleft" },
      { after: "left", send: "\x03" },
      LEAVE,
    ];
    const { status, plain } = await session(SHORT, steps);
    const [one, two] = await answers("Hello", "Who are you?");
    expect(status).toBe(0);
    expect(plain).toContain(
      `>>> /show\nuser: Hello\nassistant: ${one}\nuser: Who are you?\nassistant: ${two}\n>>> left^C`,
    );
  });

  test("Ctrl-C while the model loads ends it with 130", async () => {
    const large = alteredStoryteller(join(dir, "large"), {});
    writeFileSync(join(large, "chat_template.jinja"), TEMPLATE);
    const shape = {
      ...JSON.parse(readFileSync(join(large, "config.json"), "utf8")),
      num_hidden_layers: 24,
      intermediate_size: 65536,
    };
    writeHollowWeights(large, shape);
    alterJson(join(large, "config.json"), shape);
    const args = ["chat", "-m", large, "-q", "q4", "--no-cache", "-t", "1"];
    const { status, plain } = await session(args, [{ after: "loading ", send: "x\x03" }]);
    expect({ status, plain }).toEqual({ status: 130, plain: expect.not.stringContaining(PROMPT) });
  });

  test("a paste that never ends can be given up", async () => {
    const steps = [key(`${ESC}[200~a\rb`), { after: "b", send: "\x03" }, key("Hello\r"), LEAVE];
    const { status, plain } = await session(SHORT, steps);
    expect({ status, plain }).toEqual({
      status: 0,
      plain: expect.stringContaining(`>>> Hello\n${(await answers("Hello"))[0]}\n`),
    });
  });

  test("Ctrl-Z and fg: the shell has the terminal meanwhile, the line and the session are still there", async () => {
    const command = [process.execPath, CLI, ...SHORT].map((word) => `'${word}'`).join(" ");
    const steps = [
      { after: "$ ", send: `PS1='sh> '; ${command}\n` },
      key("Hel\x1a"),
      { after: "sh> ", send: "echo one $((1+1)) three\n" },
      { after: "sh> ", send: "fg\n" },
      { after: `${PROMPT}`, send: "lo\r" },
      key("/set max-tokens -1\r"),
      key("Tell me more\r"),
      { after: "\n ", send: "\x1a" },
      { after: "sh> ", send: "fg\n" },
      { after: `${ESC}[?2004h`, send: "\x03" }, // it has the terminal again
      { after: "(stopped)", send: "/show\r" },
      key("\x04"),
      { after: "sh> ", send: "exit 7\n" },
    ];
    const { status, plain } = await quipuOnTerminal([], {
      steps,
      argv: ["bash", "--norc", "--noprofile", "-i", "-c", 'PS1="$ " exec bash --norc --noprofile -i'],
      env: { XDG_STATE_HOME: join(state, "none") },
    }).then((result) => ({ ...result, plain: stripVTControlCharacters(result.terminal).replace(/\r+\n/g, "\n") }));
    expect(status).toBe(7);
    expect(plain).toContain("one 2 three\n");
    expect(plain).toContain(`>>> Hello\n${(await answers("Hello"))[0]}\n`); // the terminal echoes nothing
    expect(plain).toContain("user: Hello\nassistant: ");
    expect(plain).toContain("user: Tell me more\nassistant: ");
  });

  test("another width redraws the line, and never an answer", async () => {
    const steps = [
      key("the quick brown fox jumps over the lazy dog"),
      { after: "lazy dog", columns: 30 },
      { after: PROMPT, send: "\r" },
      { after: "\n ", columns: 50 },
      ...new Array<Step>(200).fill({ after: " " }), // time for the process to hear of it, and to draw if it would
      { after: " ", send: "\x03" },
      LEAVE,
    ];
    const { status, terminal } = await session(LONG, steps);
    expect(status).toBe(0);
    const [line = ""] = terminal.split("(stopped)");
    expect(line.split(PROMPT).length - 1).toBe(2); // at first, and redrawn
  });

  test("lines that are pasted are one message", async () => {
    const steps = [
      key(`${ESC}[200~/one\r\n\ttwo\r${ESC}[2J${ESC}[201~`),
      { after: "2J", send: "!\r" },
      key("/show\r"),
      LEAVE,
    ];
    const { status, plain, terminal } = await session(SHORT, steps);
    expect({ status, plain }).toEqual({
      status: 0,
      plain: expect.stringContaining(">>> /show\nuser: /one\n\ttwo\n\\x1b[2J!\nassistant: "),
    });
    expect(terminal).toContain(`${ESC}[?2004h`);
    expect(terminal.lastIndexOf(`${ESC}[?2004l`)).toBeGreaterThan(terminal.lastIndexOf(`${ESC}[?2004h`));
  });

  test("/edit puts the message into the line, /regen answers again, /undo takes back", async () => {
    const steps = [
      key("Hello there\r"),
      key("/edit\r"),
      { after: "Hello there", send: "\x7f\x7f\x7f\x7f\x7fyou\r" },
      key("/regen\r"),
      key("/show\r"),
      key("/undo\r"),
      key("/show\r"),
      LEAVE,
    ];
    const { status, plain } = await session(SHORT, steps);
    const [answer] = await answers("Hello you");
    expect(status).toBe(0);
    expect(plain).toContain(
      `>>> /show\nuser: Hello you\nassistant: ${answer}\n>>> /undo\na message was taken back\n>>> /show\nthe conversation is empty\n`,
    );
  });

  test("errors leave the session as it was", async () => {
    const steps = [
      key("Hello\r"),
      key("/nope\r"),
      key(`${"the dog ran to the park. ".repeat(30)}\r`),
      key("/show\r"),
      key("/set on-overflow slide\r"),
      key("Who are you?\r"),
      LEAVE,
    ];
    const { status, plain } = await session([...SHORT, "-c", "128"], steps);
    const [answer] = await answers("Hello");
    expect(status).toBe(0);
    expect(plain).toContain("quipu: no command is named /nope");
    expect(plain).toMatch(/quipu: the prompt has \d+ tokens, the context holds 128/);
    expect(plain).toContain(`>>> /show\nuser: Hello\nassistant: ${answer}\n>>> /set`);
  });

  test("only new tokens are computed", async () => {
    const text = "the dog ran to the park and the cat sat on the mat";
    const steps = [key(`${text}\r`), key("Why?\r"), key("/stats\r"), key("/regen\r"), key("/stats\r"), LEAVE];
    const { plain } = await session(SHORT, steps);
    const counts = [...plain.matchAll(/prompt +(\d+) tokens, (\d+) computed/g)].map(([, all, computed]) => [
      Number(all),
      Number(computed),
    ]);
    expect(counts).toHaveLength(2);
    expect(counts[0]![0]).toBeGreaterThan(25);
    expect(counts[0]![1]).toBeLessThan(16);
    expect(counts[1]).toEqual([counts[0]![0], 1]);
  });

  test("what a model writes moves no cursor", async () => {
    const bias = ["--logit-bias", `${ESC}=inf`, "-n", "3"];
    const { status, terminal, plain } = await session([...CHAT, ...bias], [key("Hello\r"), key("/show\r"), LEAVE]);
    expect(status).toBe(0);
    expect(plain).toContain(">>> Hello\n\\x1b\\x1b\\x1b\n");
    expect(plain).toContain("assistant: \\x1b\\x1b\\x1b\n");
    expect(terminal).not.toContain(`${ESC}${ESC}`);
  });

  test("/save and /load, and --messages reads the same", async () => {
    const file = join(dir, "saved.json");
    const one = await session(
      [...SHORT, "--system", "Be brief."],
      [key("Hello\r"), key("/set seed 3\r"), key(`/save ${file}\r`), key(`/save ${file}\r`), LEAVE],
    );
    expect(one).toMatchObject({ status: 0, plain: expect.stringContaining("3 messages written to ") });
    const two = await session(SHORT, [key(`/load ${file}\r`), key("/show\r"), key("/undo\r"), LEAVE]);
    expect(two.plain).toContain(">>> /show\nsystem: Be brief.\nuser: Hello\nassistant: ");
    const [three, { stdout, stderr }] = await Promise.all([
      session([...SHORT, "--messages", file], [key("/set\r"), key("/show\r"), LEAVE]),
      quipu(["inspect", "prompt", "-m", model, "--messages", file, "--json"]),
    ]);
    expect(three.plain).toMatch(/\nseed 3\n[\s\S]*user: Hello\n/);
    expect(JSON.parse(stdout).text).toMatch(/^.*system: Be brief\.\nuser: Hello\nbot:.*\nbot:$/s);
    expect(stderr).toMatch(/no part of the prompt, and not read: /);
  });

  describe("history", () => {
    test("is kept for the next session, for its user alone", async () => {
      const env = { XDG_STATE_HOME: join(state, "kept") };
      const file = join(state, "kept/quipu/chat_history");
      await session(SHORT, [key("Hello\r"), key("/stats\r"), LEAVE], { env });
      expect(readFileSync(file, "utf8")).toBe("Hello\n/stats\n");
      expect(statSync(file).mode & 0o777).toBe(0o600);
      const { plain } = await session(SHORT, [key(`${ESC}[A${ESC}[A`), { after: "Hello", send: " you\r" }, LEAVE], {
        env,
      });
      expect(plain).toContain(`Hello you\n${(await answers("Hello you"))[0]}\n`);
      expect(readFileSync(file, "utf8")).toBe("Hello\n/stats\nHello you\n");
    });

    test("is left alone with --no-history, and where there is no terminal", async () => {
      const env = { XDG_STATE_HOME: join(state, "left") };
      await session([...SHORT, "--no-history"], [key("Hello\r"), LEAVE], { env });
      await quipu(SHORT, { input: "Hello\n", env });
      expect(() => statSync(join(state, "left"))).toThrow("ENOENT");
    });

    test("that cannot be written is a warning", async () => {
      mkdirSync(state, { recursive: true });
      writeFileSync(join(state, "file"), "");
      const { status, plain } = await session(SHORT, [key("Hello\r"), key("Hi\r"), LEAVE], {
        env: { XDG_STATE_HOME: join(state, "file") },
      });
      expect(status).toBe(0);
      expect(plain.split("warning: what is typed is not kept").length).toBe(2);
    });
  });

  describe("of any kind", () => {
    const TEXT = "你好，世界 שלום עולם مرحبا e\u0301";

    test.each<[string, Record<string, string>, number]>([
      ["40 columns wide", {}, 40],
      ["without colours", { NO_COLOR: "1" }, 80],
      ["dumb", { TERM: "dumb" }, 40],
      ["0 columns wide, as it says", {}, 0],
    ])("one that is %s", async (name, env, columns) => {
      const file = join(dir, `${name}.json`);
      const steps = [key(`${TEXT}\r`), key("/help\r"), key(`/save ${file}\r`), LEAVE];
      const { status, terminal, plain } = await session(SHORT, steps, { env, columns });
      expect(status).toBe(0);
      const { messages } = JSON.parse(readFileSync(file, "utf8"));
      expect(messages[0].content).toBe(TEXT);
      expect(messages[1].content).toBe((await answers(TEXT))[0]);
      const [help = ""] = plain.split("/help\n")[1]!.split(PROMPT);
      const widest = Math.max(...help.split("\n").map((line) => line.length));
      expect(widest).toBeLessThanOrEqual(columns || 80);
      if (columns === 0) expect(widest).toBeGreaterThan(60);
      // biome-ignore lint/suspicious/noControlCharactersInRegex: colours
      const colours = /\x1b\[\d*m/.test(terminal);
      expect(colours).toBe(name.includes("columns"));
      if (name === "dumb") expect(terminal).not.toContain(ESC);
    });

    test("wide and right-to-left characters are edited where they stand", async () => {
      const file = join(dir, "edited.json");
      const left = `${ESC}[D`;
      const steps = [
        key("你好שלום"),
        { after: "ם", send: `${left.repeat(4)}\x7f们${ESC}[F\x7f!\r` },
        key(`/save ${file}\r`),
        LEAVE,
      ];
      const { status } = await session(SHORT, steps, { columns: 40 });
      expect(status).toBe(0);
      expect(JSON.parse(readFileSync(file, "utf8")).messages[0].content).toBe("你们שלו!");
    });
  });
});
