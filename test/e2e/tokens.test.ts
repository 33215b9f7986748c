// quipu tokens: counts, ids, what is shown; texts from words, files and stdin; limits, prices, conversations.
import { closeSync, mkdirSync, openSync, readFileSync, symlinkSync, writeFileSync, writeSync } from "node:fs";
import { dirname, join } from "node:path";
import { ENCODING_NAMES, loadEncoding, loadTokenizer } from "#quipu/index.js";
import { temporaryFolder } from "../checkpoint-writer.js";
import { testWhere } from "../where.js";
import { alteredStoryteller, alterJson } from "./models.js";
import { bash, quipu, ROOT } from "./run-cli.js";
import { hasTerminal, NO_TERMINAL, quipuOnTerminal } from "./terminal.js";

const TEXT = "Once upon a time, Tom saw ö 🌍.";
const BOS = 2046;
/** One whose ids are known here, whatever the embedded model's are. */
const KNOWN = ["-m", "test/reference/stories-tokenizer/tokenizer.json"];
const dir = temporaryFolder();
const file = (name: string, content: string | Uint8Array) => {
  mkdirSync(dirname(join(dir, name)), { recursive: true });
  writeFileSync(join(dir, name), content);
  return join(dir, name);
};
const A = file("a.txt", "Once upon a time");
const B = file("b.txt", "ö 🌍.\n");
const EMPTY = file("empty.txt", "");

/** stdout of a command that must succeed in silence. */
async function output(args: readonly string[], input = ""): Promise<string> {
  const { status, stdout, stderr } = await quipu(["tokens", ...args], { input });
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  return stdout;
}
const ids = async (...args: string[]) => (await output(["--ids", ...args])).trim().split(" ").map(Number);
const json = async (...args: string[]) => JSON.parse(await output(["--json", ...args]));

async function expectFailure(args: readonly string[], status: number, message: string | RegExp) {
  const result = await quipu(["tokens", ...args]);
  const matches = typeof message === "string" ? expect.stringContaining(message) : expect.stringMatching(message);
  expect(result).toMatchObject({ status, stderr: matches });
  expect(result.stderr).toMatch(/^quipu: .*\n$/);
  return result;
}

describe("a text", () => {
  test("is counted; --show has ids and texts, bytes that are no character as \\xNN, white space as JSON has it", async () => {
    expect(await output([...KNOWN, "Tom\nran ö"])).toBe("7\n");
    expect(await output([...KNOWN, "--show", "Tom\nran ö"])).toBe(
      [
        " id  text",
        '753  "Tom"',
        '198  "\\n"',
        ' 81  "r"',
        '302  "an"',
        '220  " "',
        '127  "\\xc3"',
        '114  "\\xb6"',
        "7 tokens",
        "",
      ].join("\n"),
    );
  });

  test("--ids, --count, --decode and --json agree", async () => {
    const [list, count, numbers, shown] = await Promise.all([
      ids(...KNOWN, TEXT),
      output([...KNOWN, "--count", TEXT]),
      json(...KNOWN, TEXT),
      json(...KNOWN, "--show", TEXT),
    ]);
    const bytes = Buffer.byteLength(TEXT);
    expect(count).toBe(`${list.length}\n`);
    expect(numbers).toEqual({ count: list.length, bytes, bytesPerToken: bytes / list.length });
    expect(shown).toMatchObject({ ...numbers, ids: list, text: TEXT });
    expect(shown.tokens.map(({ id }: { id: number }) => id)).toEqual(list);
    expect(shown.tokens.find(({ bytes }: { bytes?: number[] }) => bytes)).toEqual({
      id: 127,
      text: "\uFFFD",
      bytes: [0xc3],
    });
    expect(await json(...KNOWN, "--ids", TEXT)).toEqual({ ...numbers, ids: list });
    expect(await output([...KNOWN, "--decode", ...list.map(String)])).toBe(TEXT);
    expect(await output([...KNOWN, "--decode"], JSON.stringify(list))).toBe(TEXT); // commas and brackets too
    expect(await json(...KNOWN, "--decode", ...list.map(String))).toMatchObject({
      count: list.length,
      ids: list,
      text: TEXT,
    });
  });

  test("--bos comes first, --special takes control tokens as such, and begin-of-text twice is an error", async () => {
    const [plain, bos, special] = await Promise.all([
      ids("hi<|end_of_text|>"),
      ids("--bos", "hi"),
      ids("--special", "hi<|end_of_text|>"),
    ]);
    expect(plain).not.toContain(2047);
    expect(bos).toEqual([BOS, ...special.slice(0, -1)]);
    expect(special.at(-1)).toBe(2047);
    expect(await output(["--decode", `${BOS}`, "71", "72"])).toBe("<|begin_of_text|>hi");
    expect((await ids("--bos", "<|begin_of_text|>hi")).filter((id) => id === BOS)).toHaveLength(1); // the text's is plain
    await expectFailure(
      ["--bos", "--special", "<|begin_of_text|>hi"],
      2,
      /begins with the begin-of-text token\. Leave/,
    );
  });

  test("from a pipe: what came, a newline, the words; nothing is a text of no tokens", async () => {
    expect(await output([])).toBe("0\n");
    const [piped, both] = await Promise.all([
      output(["--json", "--show"], "a\n"),
      output(["--json", "--show", "c"], "a\n"),
    ]);
    expect([JSON.parse(piped).text, JSON.parse(both).text]).toEqual(["a\n", "a\n\nc"]);
    expect((await bash("echo not this | quipu tokens --no-stdin hi")).stdout).toBe("2\n");
  });

  test.concurrent("a word that is longer than a name of a file can be is text", async () => {
    const { status, stdout } = await quipu(["tokens", "--no-stdin", "x".repeat(5000)]);
    expect({ status, number: /^\d+\n$/.test(stdout) }).toEqual({ status: 0, number: true });
  });

  test("that is the name of a file is a text, and that is said", async () => {
    const { status, stdout, stderr } = await quipu(["tokens", A]);
    expect({ status, stderr }).toEqual({
      status: 0,
      stderr: `quipu: ${A} is counted as text; -f ${A} counts what is in it\n`,
    });
    expect(Number(stdout)).toBe((await loadTokenizer(join(ROOT, "models/storyteller"))).count(A));
    expect((await quipu(["tokens", dir])).stderr).toBe(
      `quipu: ${dir} is counted as text; -f ${dir} counts what is in it\n`,
    );
  });

  test("of many tokens is shown too", async () => {
    const many = file("many.txt", "a b\n".repeat(60_000));
    expect((await output(["--show", "-f", many])).slice(-200)).toMatch(/\n180000 tokens\n$/);
  });
});

describe("files", () => {
  test("are a table with a total and bytes per token; --count is the total alone", async () => {
    const table = [
      "tokens  bytes  bytes/token  file",
      `     4     16         4.00  ${A}`,
      `     8      9         1.13  ${B}`,
      `     0      0               ${EMPTY}`,
      "    12     25         2.08  total",
      "",
    ].join("\n");
    expect(await output(["-f", A, B, EMPTY])).toBe(table);
    expect(await output(["-f", A, "-f", B, "-f", EMPTY])).toBe(table);
    expect(await output(["--count", "-f", A, B, EMPTY])).toBe("12\n");
    expect(await output(["-f", B], "not read")).toBe("8\n");
    expect((await bash(`quipu -f ${B} tokens`)).stdout).toBe("8\n");
  });

  test("are told apart by --ids, --show and --json", async () => {
    expect(await output([...KNOWN, "--ids", "-f", A, EMPTY, A])).toBe("429 437 258 397\n\n429 437 258 397\n");
    expect(await output([...KNOWN, "--show", "-f", EMPTY, A])).toBe(
      `==> ${EMPTY} <==\nid  text\n0 tokens\n==> ${A} <==\n id  text\n429  "Once"\n437  " upon"\n258  " a"\n397  " time"\n4 tokens\n`,
    );
    expect(await json("-f", A, EMPTY)).toEqual({
      count: 4,
      bytes: 16,
      bytesPerToken: 4,
      files: [
        { file: A, count: 4, bytes: 16, bytesPerToken: 4 },
        { file: EMPTY, count: 0, bytes: 0, bytesPerToken: null },
      ],
    });
    expect(await output([...KNOWN, "--decode", "-f", file("ids.txt", "429,437"), file("more.txt", "[258]")])).toBe(
      "Once upon a",
    );
  });

  test("'-' among them is stdin", async () => {
    expect(JSON.parse(await output(["--json", "-f", A, "-"], "Once upon")).files).toMatchObject([
      { file: A, count: 4 },
      { file: "-", count: 2 },
    ]);
  });

  test.concurrent.each<[string, string[], string | RegExp]>([
    ["that are not there", ["-f", "/no/such"], "-f /no/such: cannot be read: ENOENT"],
    ["in a folder that has none", ["-f", file("none/.hidden", "x").replace("/.hidden", "")], "no files in it"],
    ["beside words", ["-f", A, "--", "hi"], "a prompt comes from one place: got it from words and from -f"],
    ["and stdin twice", ["-f", "-", "-"], "stdin can be read only once"],
    ["and stdin with --no-stdin", ["--no-stdin", "-f", "-"], "--no-stdin forbids it"],
  ])("%s", async (_, args, message) => {
    expect((await expectFailure(args, 2, message)).stdout).toBe("");
  });

  test.each<[string, Uint8Array, string]>([
    ["a wrong byte", Buffer.from("ab\xffcd", "latin1"), "2 (0xff)"],
    [
      "a wrong byte beyond the first chunk",
      Buffer.concat([Buffer.alloc(2 ** 21 + 5, "ab "), Buffer.of(0xe2, 0x41)]),
      "2097157 (0xe2)",
    ],
    ["half a character at the end", Buffer.from("ab\xf0\x9f", "latin1"), "2 (0xf0)"],
    [
      "a surrogate across chunks",
      Buffer.concat([Buffer.alloc(2 ** 20 - 1, "a "), Buffer.of(0xed, 0xa0, 0x80)]),
      "1048575 (0xed)",
    ],
    ["a byte of Latin-1 before a line's end", Buffer.from("caf\xe9\n", "latin1"), "3 (0xe9)"],
    ["a continuation that continues nothing", Buffer.from("ab\x80\x80", "latin1"), "2 (0x80)"],
    ["an overlong form", Buffer.from("a\xc0\x80", "latin1"), "1 (0xc0)"],
    ["a character cut short by another", Buffer.from("a\xe2\x82\xc3\xa9", "latin1"), "1 (0xe2)"],
    ["a code point beyond the last", Buffer.from("\xf4\x90\x80\x80", "latin1"), "0 (0xf4)"],
  ])("with %s: an error with its offset", async (_, bytes, at) => {
    const { stdout } = await expectFailure(
      ["-f", file("wrong.txt", bytes)],
      2,
      `wrong.txt: not valid UTF-8 at byte ${at}`,
    );
    expect(stdout).toBe("");
  });

  test("in folders are taken in the order of their names, without hidden ones and links; a bad one is one line", async () => {
    const tree = join(dir, "tree");
    for (const [path, content] of [
      ["b.txt", "Once upon a time"],
      ["a/z.md", "ö 🌍.\n"],
      ["a/latin1.txt", Buffer.from("caf\xe9\n", "latin1")],
      ["a/.git/config", "x"],
      [".hidden", "x"],
    ] as const) {
      mkdirSync(dirname(join(tree, path)), { recursive: true });
      writeFileSync(join(tree, path), content);
    }
    symlinkSync(join(tree, "b.txt"), join(tree, "link"));
    symlinkSync("nowhere", join(tree, "dangling"));
    const table = [
      "tokens  bytes  bytes/token  file",
      `     8      9         1.13  ${tree}/a/z.md`,
      `     4     16         4.00  ${tree}/b.txt`,
      "    12     25         2.08  total",
      "",
    ].join("\n");
    const bad = `${tree}/a/latin1.txt: not valid UTF-8 at byte 3 (0xe9). Convert it first, for example with iconv.`;
    const [strict, skipping, missing, described, listed, one] = await Promise.all([
      quipu(["tokens", "-f", tree]),
      quipu(["tokens", "--skip-invalid", "-f", tree]),
      quipu(["tokens", "-f", A, "/no/such", B]),
      quipu(["tokens", "--json", "--skip-invalid", "-f", tree]),
      quipu(["tokens", "--ids", "-f", tree]),
      quipu(["tokens", "--count", "--skip-invalid", "-f", join(tree, "a/latin1.txt"), A]),
    ]);
    expect(strict).toEqual({ status: 2, stdout: table, stderr: `quipu: ${bad}\n` });
    expect(skipping).toEqual({ status: 0, stdout: table, stderr: `quipu: ${bad} Skipped.\n` });
    expect(missing).toMatchObject({ status: 2, stderr: expect.stringMatching(/^quipu: -f \/no\/such: .*ENOENT.*\n$/) });
    expect(missing.stdout).toMatch(/ {4}12 {5}25 .*total\n$/);
    expect(JSON.parse(described.stdout)).toMatchObject({
      count: 12,
      files: [{ count: 8 }, { count: 4 }],
      failed: [{ file: `${tree}/a/latin1.txt`, error: bad }],
    });
    expect(listed.stdout.split("\n")).toHaveLength(3); // a line for each that is text
    expect(one).toMatchObject({ status: 0, stdout: "4\n" });
  });

  test("may cut characters between chunks", async () => {
    const text = `a${"ö 🌍ω ".repeat(200_000)}`;
    const expected = (await loadTokenizer(join(ROOT, "models/storyteller"))).count(text);
    expect(await json("-f", file("chunks.txt", text))).toMatchObject({
      count: expected,
      bytes: Buffer.byteLength(text),
    });
  });
});

describe("large files", () => {
  const size = { small: 8, large: 200 }; // MB
  const paragraph = Buffer.from(
    "Once upon a time there was a dog. The café — 東京 🌍 — was full: 12,345 people!\n".repeat(256),
  );
  const grow = (name: string, megabytes: number) => {
    const path = join(dir, name);
    const out = openSync(path, "w");
    for (let bytes = 0; bytes < megabytes * 1e6; bytes += paragraph.length) writeSync(out, paragraph);
    closeSync(out);
    return path;
  };

  test("are read in constant memory, and counted as a whole is", async () => {
    const peak = file(
      "peak.mjs",
      'process.on("exit", () => process.stderr.write(String(process.resourceUsage().maxRSS)));',
    );
    const run = async (name: "small" | "large") => {
      const path = grow(`${name}.txt`, size[name]);
      const { stdout, stderr } = await quipu(["tokens", "--encoding", "r50k_base", "-f", path], {
        env: { NODE_OPTIONS: `--import=${peak}` },
      });
      return { path, count: Number(stdout), peakKb: Number(stderr) };
    };
    const [small, large] = [await run("small"), await run("large")];
    const tokenizer = await loadEncoding("r50k_base");
    expect(await tokenizer.countAsync(readFileSync(small.path))).toBe(small.count);
    const each = tokenizer.count(paragraph);
    expect([small, large].map(({ path, count }) => count / (readFileSync(path).length / paragraph.length))).toEqual([
      each,
      each,
    ]);
    expect(small.peakKb).toBeGreaterThan(20_000);
    // A quarter of what it reads more: V8's young generation takes 30 MB or not, as it is scheduled.
    expect(large.peakKb - small.peakKb).toBeLessThan(((size.large - size.small) * 1000) / 4);
  });

  testWhere(hasTerminal, NO_TERMINAL)(
    "show progress on a terminal, and nothing of it stays; --quiet shows none",
    async () => {
      const path = grow("progress.txt", 12);
      const erase = "\r\x1b[K";
      const [{ terminal }, piped, quiet] = await Promise.all([
        quipuOnTerminal(["tokens", "-f", path], { terminal: ["stderr"] }),
        quipuOnTerminal(["tokens", "-f", path]),
        quipuOnTerminal(["tokens", "--quiet", "-f", path], { terminal: ["stderr"] }),
      ]);
      expect(terminal.split(erase).slice(1, -1).join()).toMatch(/^counting \d+ %(,counting \d+ %)+$/);
      expect(terminal.endsWith(erase)).toBe(true);
      expect(piped.terminal.split(erase).at(-1)).toMatch(/^\d+\r\n$/);
      expect(quiet.terminal).toBe("");
    },
  );
});

describe("encodings", () => {
  test.concurrent.each([...ENCODING_NAMES])("%s is its own", async (name) => {
    expect(await ids("--encoding", name, TEXT)).toEqual([...(await loadEncoding(name)).encode(TEXT)]);
  });

  test("by the name of a model", async () => {
    expect(await ids("--encoding", "gpt-4o-mini", TEXT)).toEqual([...(await loadEncoding("o200k_base")).encode(TEXT)]);
  });

  test("-m takes a tokenizer's file too", async () => {
    expect(await output(["-m", "models/storyteller/tokenizer.json", "Once upon a time"])).toBe("4\n");
  });

  test.concurrent.each<[string[], string | RegExp]>([
    [["--encoding", "gpt9", "hi"], /--encoding: expected cl100k_base, gpt2, .*, got "gpt9"/],
    [["--encoding", "o200k_base", "-m", "storyteller", "hi"], "cannot be used with option '-m"],
    [["--encoding", "o200k_base", "--bos", "hi"], "--bos: o200k_base has no begin-of-text token"],
    [["--encoding", "o200k_base", "--limit", "context", "hi"], "an encoding has no context. Give a number"],
    [["--ids", "--count", "hi"], "cannot be used with option '--count'"],
    [["--decode", "--price", "3", "1"], "cannot be used with option '--price"],
    [["--limit", "many", "hi"], /Expected a whole number/],
  ])("%j: usage", async (args, message) => {
    await expectFailure(args, 2, message);
  });
});

describe("--limit and --price", () => {
  test("a text that is too long is counted, and the error says by how much", async () => {
    expect(await output(["--limit", "4", "-f", A])).toBe("4\n");
    const words = await expectFailure(
      ["--limit", "3", "Once upon a time"],
      4,
      /limit of 3 tokens: the text has 4 tokens, 1 too many\n/,
    );
    expect(words.stdout).toBe("4\n");
    const files = await expectFailure(
      ["--json", "--limit", "3", "-f", A, EMPTY, B],
      4,
      `limit of 3 tokens: 2 of 3 texts: ${A} has 4 tokens, 1 too many; ${B} has 8 tokens, 5 too many`,
    );
    expect(JSON.parse(files.stdout).files).toMatchObject([
      { limit: 3, over: 1 },
      { limit: 3, over: 0 },
      { limit: 3, over: 5 },
    ]);
  });

  test("a pipe is not read on when it is over the limit", async () => {
    const endless = await bash("yes | quipu tokens --limit 100; echo $?");
    expect(endless.stderr).toBe(
      "quipu: over the limit of 100 tokens: the text has more, and was not read to its end\n",
    );
    expect(endless.stdout).toBe("4\n"); // no count: nobody knows it
    const [ids, json, finite, words] = await Promise.all([
      bash("yes | quipu tokens --limit 100 --json; echo $?"),
      bash("yes | quipu tokens --limit 100 --json -f - ; echo $?"),
      bash("yes | head -3 | quipu tokens --limit 2; echo $?"),
      bash("quipu tokens --limit 3 Once upon a time < /dev/null; echo $?"),
    ]);
    for (const { stdout } of [ids, json]) expect(stdout).toMatch(/"complete":false.*\n4\n$/s);
    expect(finite).toMatchObject({ stdout: "6\n4\n", stderr: expect.stringContaining("has 6 tokens, 4 too many") });
    expect(words).toMatchObject({ stdout: "4\n4\n", stderr: expect.stringContaining("has 4 tokens, 1 too many") });
  });

  test("also where it is one piece without end", async () => {
    const pieces = await Promise.all([
      bash("tr '\\0' a < /dev/zero | quipu tokens --limit 10; echo $?"),
      bash("cat /dev/zero | quipu tokens --limit 10 --encoding o200k_base; echo $?"),
    ]);
    for (const { stdout, stderr } of pieces) {
      expect({ stdout, stderr }).toEqual({
        stdout: "4\n",
        stderr: "quipu: over the limit of 10 tokens: the text has more, and was not read to its end\n",
      });
    }
  });

  test("'context' is the model's", async () => {
    const short = alteredStoryteller(join(dir, "short"), { max_position_embeddings: 7 });
    expect(await output(["-m", short, "--limit", "context", "-f", A])).toBe("4\n");
    await expectFailure(
      ["-m", short, "--limit", "context", "-f", B],
      4,
      /limit of 7 tokens: .*b.txt has 8 tokens, 1 too many/,
    );
  });

  test("--price is that of a million tokens", async () => {
    expect(await output(["--price", "2.5", "Once upon a time"])).toBe(
      "tokens  bytes  bytes/token      cost\n     4     16         4.00  0.000010\n",
    );
    expect((await output(["--price", "2.5", "-f", A, B])).split("\n").at(-2)).toBe(
      "    12     25         2.08  0.000030  total",
    );
    expect(await json("--price", "500000", "Once upon a time")).toMatchObject({ count: 4, cost: 2 });
  });
});

describe("--chat", () => {
  const chatModel = (name: string, template: string) => {
    const folder = alteredStoryteller(join(dir, name));
    alterJson(join(folder, "tokenizer_config.json"), { chat_template: template });
    return folder;
  };
  const LINES =
    "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}{% if add_generation_prompt %}bot:{% endif %}";
  const chat = chatModel("chat", `{{ bos_token }}${LINES}`);
  const messages = file("messages.json", JSON.stringify([{ role: "user", content: "hi <|end_of_text|>" }]));
  mkdirSync(join(dir, "in"), { recursive: true });

  test("shows the rendered template and ids, with begin-of-text once and what users type as plain text", async () => {
    const rendered = "<|begin_of_text|>user: hi <|end_of_text|>\nbot:";
    const [shown, list, count, described] = await Promise.all([
      output(["-m", chat, "--chat", messages]),
      ids("-m", chat, "--chat", messages),
      output(["-m", chat, "--chat", messages, "--count"]),
      json("-m", chat, "--chat", messages),
    ]);
    expect(shown.startsWith(`${rendered}\n\n  id  text\n2046  "<|begin_of_text|>"\n`)).toBe(true);
    expect(shown.endsWith(`${list.length} tokens\n`)).toBe(true);
    expect(list.filter((id) => id >= BOS)).toEqual([BOS]);
    expect(count).toBe(`${list.length}\n`);
    expect(described).toMatchObject({ count: list.length, bytes: rendered.length, ids: list, text: rendered });
  });

  test("takes an object with messages, from stdin; after an answer nothing is to be generated", async () => {
    const conversation = {
      messages: [
        { role: "user", content: "hi" },
        { role: "assistant", content: "ho" },
      ],
    };
    const shown = await output(["-m", chat, "--chat", "-", "--json"], JSON.stringify(conversation));
    expect(JSON.parse(shown).text).toBe("<|begin_of_text|>user: hi\nassistant: ho\n");
  });

  const twice = chatModel("twice", `{{ bos_token }}{{ bos_token }}${LINES}`);
  test.concurrent.each<[string, number, string[], string | RegExp]>([
    [
      "a template with begin-of-text twice",
      3,
      ["-m", twice, "--chat", messages],
      /twice, which the model has never seen/,
    ],
    [
      "--bos before a template that has it",
      2,
      ["-m", chat, "--bos", "--chat", messages],
      /^quipu: --bos: the chat template begins/,
    ],
    ["a model without a template", 2, ["--chat", messages], /has no chat template/],
    ["an encoding", 2, ["--encoding", "o200k_base", "--chat", messages], "o200k_base has no chat template"],
    ["words too", 2, ["-m", chat, "--chat", messages, "hi"], "from words and from --chat"],
    ["no such file", 2, ["-m", chat, "--chat", "/no/such"], "--chat /no/such: cannot be read: ENOENT"],
    ["no JSON", 2, ["-m", chat, "--chat", A], "a.txt: not valid JSON"],
    [
      "another JSON",
      2,
      ["-m", chat, "--chat", file("in/number", "12")],
      "expected a list of messages, or an object with",
    ],
    [
      "a message without a role",
      2,
      ["-m", chat, "--chat", file("in/role", '[{"content":"x"}]')],
      "messages[0].role: expected a text",
    ],
    [
      "a part that is no text",
      2,
      ["-m", chat, "--chat", file("in/image", '[{"role":"user","content":[{"type":"image_url"}]}]')],
      'messages[0].content[0].type: expected "text"',
    ],
    [
      "tools that the template does not read",
      2,
      ["-m", chat, "--chat", file("in/tools", '{"messages":[{"role":"user","content":"x"}],"tools":[{}]}')],
      "tools: the chat template of chat does not read tools",
    ],
    ["tools without a conversation", 2, ["-m", chat, "--tools", messages, "hi"], "--tools goes with a conversation"],
  ])("%s: an error", async (_, status, args, message) => {
    await expectFailure(args, status, message);
  });

  test("before the command's name it is another option", async () => {
    const { status, stderr } = await quipu(["--chat", "tokens", "hi"]);
    expect({ status, stderr }).toEqual({
      status: 2,
      stderr: expect.stringContaining("tokens takes a file of messages"),
    });
  });
});
