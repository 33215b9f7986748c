// Rules 1, 2 and 4 of docs/cli.md's pipe contract: what is on stdout, where prompts come from, how text is written.
import { once } from "node:events";
import { join } from "node:path";
import { loadModel } from "#quipu/index.js";
import { temporaryFolder } from "../checkpoint-writer.js";
import { alteredStoryteller } from "./models.js";
import { isAsleep, processorTime } from "./process-state.js";
import { bash, eventsOf, finish, handlesSignals, processorTimeInAll, quipu, startQuipu } from "./run-cli.js";

const PROMPT = "Once upon a time";
const OPTIONS = ["-s", "1", "-n", "24", "-t", "1"];

/** The completion that the library gives for a prompt, with OPTIONS. */
async function completion(prompt: string): Promise<string> {
  await using model = await loadModel(undefined, { threads: 1 });
  let text = "";
  for await (const event of model.generate(prompt, { seed: 1, maxTokens: 24 })) {
    if (event.type !== "start") text += event.text;
  }
  return text;
}

/** What the command line must give for PROMPT. */
const whole = await completion(PROMPT);

describe("stdout", () => {
  test("is the library's completion, byte for byte, and nothing else is written", async () => {
    expect(await quipu([PROMPT, ...OPTIONS])).toEqual({ status: 0, stdout: whole, stderr: "" });
  });

  test("is the text of the --json events", async () => {
    const [plain, json] = await Promise.all([quipu([PROMPT, ...OPTIONS]), quipu([PROMPT, ...OPTIONS, "--json"])]);
    expect(plain.stdout).not.toBe("");
    const texts = eventsOf(json.stdout).map(({ text = "" }) => text);
    expect(texts.join("")).toBe(plain.stdout);
  });

  test("is only the completion with --verbose too; --quiet changes nothing in a pipe", async () => {
    const stdout = whole;
    const [verbose, quiet] = await Promise.all(
      ["--verbose", "--quiet"].map((option) => quipu([PROMPT, ...OPTIONS, option])),
    );
    expect(verbose).toMatchObject({ stdout, stderr: expect.stringContaining("seed 1") });
    expect(quiet).toEqual({ status: 0, stdout, stderr: "" });
  });
});

describe("a prompt", () => {
  const dir = temporaryFolder();
  const write = (name: string, bytes: string) => `printf '${bytes}' > "${join(dir, name)}"; `;
  const show = `quipu ${OPTIONS.join(" ")}`;

  test.concurrent.each<[string, string, string]>([
    ["words", `${show} Once upon a time`, PROMPT],
    ["words with options between them", "quipu Once upon -s 1 -t 1 a time -n 24", PROMPT],
    ["words after --", `${show} -- -1 is less than`, "-1 is less than"],
    ["-p", `${show} -p "Once upon a time"`, PROMPT],
    ["-p with a command's name first", `${show} -p "next time"`, "next time"],
    ["-f", `${write("a.txt", "Once upon a time")} ${show} -f "${join(dir, "a.txt")}"`, PROMPT],
    ["a pipe alone", `printf 'Once upon a time' | ${show}`, PROMPT],
    ["a pipe's last newline, kept", `echo 'Once upon a time' | ${show}`, `${PROMPT}\n`],
    ["a pipe, a newline, then the argument", `printf 'Tom ran.' | ${show} "Then he"`, "Tom ran.\nThen he"],
    ["a pipe, then -f", `${write("b.txt", "he")} printf 'Then' | ${show} -f "${join(dir, "b.txt")}"`, "Then\nhe"],
    ["a redirected file", `${write("c.txt", "Once upon")} ${show} < "${join(dir, "c.txt")}"`, "Once upon"],
    ["-p - from a pipe", `printf 'Once upon' | ${show} -p -`, "Once upon"],
    ["the word - from a pipe", `printf 'Once upon' | ${show} -`, "Once upon"],
    ["an argument with /dev/null", `${show} "Once upon" < /dev/null`, "Once upon"],
    ["an argument with stdin closed", `${show} "Once upon" <&-`, "Once upon"],
    ["an argument with --no-stdin", `printf 'not this' | ${show} --no-stdin "Once upon"`, "Once upon"],
    ["CRLF, kept", `printf 'Tom\\r\\nran\\r\\n' | ${show}`, "Tom\r\nran\r\n"],
    ["a byte-order mark, kept", `printf '\\xef\\xbb\\xbfTom' | ${show}`, "\uFEFFTom"],
    ["characters of several bytes", `printf 'é 日本 🌍' | ${show}`, "é 日本 🌍"],
    ["nothing given as such: the beginning of a text", `${show} ""`, ""],
  ])("from %s", async (_, script, prompt) => {
    const [shown, expected] = await Promise.all([bash(script), completionOf(prompt)]);
    expect(shown).toEqual({ status: 0, stdout: expected, stderr: "" });
  });

  test.concurrent.each<[string, string, RegExp]>([
    ["nothing", "quipu", /^quipu: no prompt \(stdin is empty\)/],
    ["nothing but /dev/null", "quipu < /dev/null", /stdin is empty/],
    ["nothing but a closed stdin", "quipu <&-", /stdin is empty/],
    ["nothing with --no-stdin", "echo text | quipu --no-stdin", /^quipu: no prompt: give words/],
    ["-p - and an empty pipe", "printf '' | quipu -p -", /stdin is empty/],
    ["- with --no-stdin", "echo text | quipu --no-stdin -", /--no-stdin forbids it/],
    ["words and -p", "quipu words -p text", /one place: got it from words and from -p/],
    ["a file that is not there", "quipu -f /no/such.txt", /-f \/no\/such.txt: cannot be read: ENOENT/],
    ["bytes on stdin", "printf 'ab\\xffcd' | quipu", /stdin: not valid UTF-8 at byte 2 \(0xff\)/],
    ["half a character", "printf 'ab\\xe2\\x82' | quipu", /stdin: not valid UTF-8 at byte 2 \(0xe2\)/],
    ["bytes far in", "{ printf 'é%.0s' {1..5000}; printf '\\x80'; } | quipu", /at byte 10000 \(0x80\)/],
    [
      "bytes in a file",
      `${write("d.txt", "\\xc0")} quipu -f "${join(dir, "d.txt")}"`,
      /d.txt: not valid UTF-8 at byte 0/,
    ],
    ["bytes in an argument", "quipu $'ab\\xff'", /argument: not valid UTF-8 at byte 2 \(0xff\)/],
  ])("from %s is a usage error", async (_, script, message) => {
    expect(await bash(script)).toMatchObject({ status: 2, stdout: "", stderr: expect.stringMatching(message) });
  });

  test("that a user has typed with U+FFFD is no such error", async () => {
    expect(await quipu(["a\uFFFDb", ...OPTIONS])).toMatchObject({ status: 0, stderr: "" });
  });

  test("that arrives in parts, before the model is loaded and late, is whole", async () => {
    const child = startQuipu(OPTIONS);
    child.stdin!.write("Once up");
    await handlesSignals(child);
    child.stdin!.write("on a");
    await isAsleep(child); // the model is loaded
    child.stdin!.end(" time");
    expect(await finish(child)).toEqual({ status: 0, stdout: whole, stderr: "" });
  });

  test.concurrent("beside which a pipe stays open and silent: after a while stderr says what is waited for", async () => {
    const child = startQuipu([PROMPT, ...OPTIONS]);
    const [said] = await once(child.stderr!, "data");
    expect(String(said)).toBe("quipu: waiting for the end of stdin; --no-stdin leaves it alone\n");
    child.stdin!.end();
    expect(await finish(child)).toMatchObject({ status: 0, stdout: whole });
  });

  test("a model that is not there is said before stdin has ended", async () => {
    const child = startQuipu(["-m", "/no/such/model"]);
    expect(await finish(child)).toMatchObject({ status: 3, stderr: expect.stringContaining("/no/such/model") });
  });

  test("in a loop that reads lines, --no-stdin leaves them to the loop", async () => {
    const loop = (option: string) =>
      bash(
        `printf '%s\\n' Tom Lily Max | while read name; do quipu ${OPTIONS.join(" ")} -n 1 "$name" ${option} > /dev/null; echo "$name"; done`,
      );
    const [left, eaten] = await Promise.all([loop("--no-stdin"), loop("")]);
    expect([left.stdout, eaten.stdout]).toEqual(["Tom\nLily\nMax\n", "Tom\n"]);
  });

  const expectations = new Map<string, Promise<string>>();
  function completionOf(prompt: string): Promise<string> {
    const known = expectations.get(prompt) ?? completion(prompt);
    expectations.set(prompt, known);
    return known;
  }
});

describe("text is written", () => {
  const dir = temporaryFolder();

  test("in whole characters only", async () => {
    // Every id is as likely as any other: single bytes, most of them no characters, come all the time.
    const child = startQuipu(["é 日本 🌍", "-n", "200", "-s", "2", "--temp", "100", "--ignore-eos", "-t", "1"]);
    child.stdin!.end();
    const pieces: string[] = [];
    child.stdout!.on("data", (chunk: Buffer) => pieces.push(new TextDecoder("utf-8", { fatal: true }).decode(chunk)));
    const { status, stdout } = await finish(child);
    expect(status).toBe(0);
    expect(pieces.join("")).toBe(stdout);
    expect(stdout).toMatch(/\uFFFD/);
  });

  test("as it is made, not at the end", async () => {
    const child = startQuipu([PROMPT, "-n", "-1", "-s", "1", "--ignore-eos", "-t", "1", "--json"]);
    child.stdin!.end();
    let chunks = 0;
    child.stdout!.on("data", () => {
      chunks += 1;
    });
    await finish(child);
    expect(chunks).toBeGreaterThan(20);
  });

  test.concurrent.each<[string, string[], string, string]>([
    ["at the very beginning", [whole.slice(0, 4)], "", "stop"],
    ["of one character", [whole[12]!], whole.slice(0, whole.indexOf(whole[12]!)), "stop"],
    ...[9, 14, 17, 22, 31].map((start): [string, string[], string, string] => {
      const stop = whole.slice(start, start + 9);
      return [`at character ${start}, across tokens`, [stop], whole.slice(0, whole.indexOf(stop)), "stop"];
    }),
    ["inside one that is still open", [whole.slice(20, 40), whole.slice(30, 36)], whole.slice(0, 30), "stop"],
    ["that never becomes whole", [`${whole.slice(9, 15)}\u0001`], whole, "length"],
    ["that is open at the end", [`${whole.slice(-5)}\n\n`], whole, "length"],
  ])("a stop text %s is held back and not printed", async (_, stops, expected, reason) => {
    const all = [PROMPT, ...OPTIONS, ...stops.flatMap((stop) => ["--stop", stop])];
    const [plain, json] = await Promise.all([quipu(all), quipu([...all, "--json"])]);
    expect(plain).toEqual({ status: 0, stdout: expected, stderr: "" });
    const events = eventsOf(json.stdout);
    expect(events.map(({ text = "" }) => text).join("")).toBe(expected);
    expect(events.at(-1)).toMatchObject({ type: "end", reason });
  });

  test("no faster than it is read: the process waits, and nothing is lost", async () => {
    const long = alteredStoryteller(join(dir, "long"), { max_position_embeddings: 4096 });
    const args = ["-m", long, PROMPT, "-n", "4000", "-s", "1", "--ignore-eos", "-t", "1", "--json", "--logprobs", "20"];
    const child = startQuipu(args);
    child.stdin!.end();
    await once(child.stdout!, "readable");
    await isAsleep(child); // the pipe is full
    const before = processorTime(child);
    const { status, stdout } = await finish(child);
    expect(status).toBe(0);
    expect(before).toBeLessThan((await processorTimeInAll(child)) / 2); // most tokens were not made, and not kept in memory
    const events = eventsOf(stdout);
    expect(events).toHaveLength(4002);
    expect(events.at(-1)).toMatchObject({ type: "end", reason: "length", usage: { completionTokens: 4000 } });
  });

  test.concurrent.each([
    [
      "head -1",
      `quipu "${PROMPT}" -n -1 --ignore-eos -t 1 | head -c 5; echo " \${PIPESTATUS[0]}"`,
      `${whole.slice(0, 5)} 0\n`,
    ],
    ["a reader that reads nothing", `quipu "${PROMPT}" -n 50 -t 1 | true; echo "\${PIPESTATUS[0]}"`, "0\n"],
    [
      "head -1 of events",
      `quipu "${PROMPT}" --json -t 1 | head -1 | cut -c 1-15; echo "\${PIPESTATUS[0]}"`,
      '{"type":"start"\n0\n',
    ],
    ["head -1 of a table", `quipu inspect --tensors | head -1 | cut -c 1-6; echo "\${PIPESTATUS[0]}"`, "folder\n0\n"],
  ])("to a pipe that is closed: %s ends it quietly with 0", async (_, script, stdout) => {
    expect(await bash(script.replace(" -t 1", " -s 1 -t 1"))).toEqual({ status: 0, stdout, stderr: "" });
  });

  test.concurrent.each([
    ["text", "quipu hi -n 3 -t 1 > /dev/full"],
    ["--help", "quipu --help > /dev/full"],
    ["a table", "quipu inspect > /dev/full"],
  ])("to a full disk: %s is an error that says so", async (_, script) => {
    expect(await bash(script)).toMatchObject({
      status: 1,
      stderr: "quipu: stdout cannot be written: ENOSPC: no space left on device, write\n",
    });
  });

  test("also where stderr is closed", async () => {
    const { status, stdout } = await bash(`quipu "${PROMPT}" ${OPTIONS.join(" ")} --verbose 2>&-`);
    expect({ status, stdout }).toEqual({ status: 0, stdout: whole });
    expect(await bash("quipu --no-such-option 2>&-")).toMatchObject({ status: 2, stdout: "" });
  });
});
