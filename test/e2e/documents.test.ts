// README.md, docs/cli.md and docs/library.md against the program: what they show it print, what they name, what they tell to run.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { stripVTControlCharacters } from "node:util";
import { ALIASES } from "#quipu/cli/aliases.js";
import { LATER_OPTIONS } from "#quipu/cli/options.js";
import { LATER_COMMANDS } from "#quipu/cli/program.js";
import { temporaryFolder } from "../checkpoint-writer.js";
import { HubServer, useHub } from "../hub.js";
import { testWhere } from "../where.js";
import { bash, quipu, ROOT } from "./run-cli.js";
import { hasTerminal, NO_TERMINAL, quipuOnTerminal } from "./terminal.js";

const read = (file: string) => readFileSync(join(ROOT, file), "utf8");
const README = read("README.md");
const REFERENCE = read("docs/cli.md");
const LIBRARY = read("docs/library.md");
const helps = new Map<string, Promise<string>>();
function help(...command: string[]): Promise<string> {
  const key = command.join(" ");
  const text = helps.get(key) ?? quipu([...command, "--help"]).then(({ stdout }) => stdout);
  helps.set(key, text);
  return text;
}

/** "tokens", "inspect prompt", …: what --help lists, and below it. */
async function commands(above: readonly string[] = []): Promise<string[][]> {
  const [, list = ""] = (await help(...above)).split("\nCommands:\n");
  const names = [...list.split("\n\n")[0]!.matchAll(/^ {2}(\w+)/gm)].map(([, name]) => [...above, name!]);
  const below = await Promise.all(names.map((name) => commands(name)));
  return [...names, ...below.flat()];
}

test("what the documents show is what is printed", () => {
  const { status, stderr } = spawnSync(process.execPath, ["scripts/documented-output.js"], {
    cwd: ROOT,
    encoding: "utf8",
  });
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
});

test("docs/cli.md has the --help of every command", async () => {
  const all = [[], ...(await commands())];
  expect(all.map((command) => command.join(" "))).toEqual([
    "",
    "chat",
    "benchmark",
    "tokens",
    "next",
    "inspect",
    "plan",
    "doctor",
    "cache",
    "pull",
    "models",
    "tokenizer",
    "data",
    "train",
    "inspect prompt",
    "cache list",
    "cache prune",
    "cache clear",
    "models list",
    "models path",
    "models remove",
    "models prune",
    "tokenizer train",
    "data pack",
    "data inspect",
    "train report",
  ]);
  for (const command of all) expect(REFERENCE).toContain(`$ ${["npx quipu", ...command, "--help"].join(" ")}\n`);
});

test("every option that the documents name is there, or known as one of a later version", async () => {
  const texts = await Promise.all([[], ...(await commands())].map((command) => help(...command)));
  const known = new Set([...texts.join("\n").matchAll(/--[a-z][a-z_-]*/g)].map(([option]) => option));
  for (const option of [...Object.keys(ALIASES), ...LATER_OPTIONS]) known.add(option);
  const prose = (README + REFERENCE).replace(/^npm .*$/gm, "");
  const named = new Set([...prose.matchAll(/(?<![\w-])--[a-z][a-z_-]*/g)].map(([option]) => option));
  expect(named.size).toBeGreaterThan(40);
  expect([...named].filter((option) => !known.has(option))).toEqual([]);
});

test("docs/cli.md lists the names that are taken by a later version", () => {
  const [, listed = ""] = REFERENCE.split("## Not in this version");
  const [commands = "", options = ""] = listed.split("\nthe options ");
  const quoted = (text: string) => [...text.matchAll(/`([^`]+)`/g)].map(([, name]) => name);
  expect(quoted(commands)).toEqual(LATER_COMMANDS);
  expect(quoted(options.split("; the value ")[0]!)).toEqual([...LATER_OPTIONS]);
});

test("--help names the aliases and nothing of a later version", async () => {
  const text = await help();
  for (const alias of Object.keys(ALIASES)) expect(text).toContain(alias);
  for (const option of LATER_OPTIONS) expect(text).not.toContain(option);
});

const SMOLLM2 = join(ROOT, "build/models/smollm2");
const SHOWN = "path/to/SmolLM2-135M-Instruct";
const withSmollm2 = testWhere(
  existsSync(join(SMOLLM2, "config.json")),
  `${SMOLLM2} is not there (scripts/make-smollm2.sh)`,
);
const dir = temporaryFolder();
const SNIPPETS = [...(README + LIBRARY).matchAll(/```js\n([\s\S]*?)```\n\n```text\n([\s\S]*?)```/g)].map(
  ([, code, output]) => ({
    code,
    output,
  }),
);

function runs({ code, output }: { code?: string | undefined; output?: string | undefined }): void {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ["--input-type=module", "-e", code!.replaceAll(SHOWN, SMOLLM2)],
    { cwd: ROOT, encoding: "utf8" },
  );
  expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: output, stderr: "" });
}

test("the documents' code runs as it stands and prints what it says", () => {
  const own = SNIPPETS.filter(({ code }) => !code!.includes(SHOWN));
  expect(own).toHaveLength(1);
  for (const snippet of own) runs(snippet);
});

withSmollm2("and so does what it does with a checkpoint", () => {
  const others = SNIPPETS.filter(({ code }) => code!.includes(SHOWN));
  expect(others).toHaveLength(1);
  for (const snippet of others) runs(snippet);
});

const withChat = testWhere(existsSync(SMOLLM2) && hasTerminal, `${SMOLLM2} is not there, or ${NO_TERMINAL}`);
withChat("README's chat is what a terminal shows", async () => {
  const [, args = "", shown = ""] = /```text\n\$ npx quipu (-m .*)\n([\s\S]*?)```/.exec(README)!;
  const folder = join(dir, SHOWN);
  mkdirSync(dirname(folder), { recursive: true });
  symlinkSync(SMOLLM2, folder);
  const steps = [...shown.matchAll(/^>>> (.*)$/gm)].map(([, line]) => ({ after: ">>> ", send: `${line}\r` }));
  expect(steps.length).toBeGreaterThan(3);
  const { status, terminal } = await quipuOnTerminal(args.replace(SHOWN, folder).split(" "), {
    steps,
    env: { XDG_STATE_HOME: dir },
  });
  const plain = stripVTControlCharacters(terminal).replace(/\r+\n/g, "\n");
  expect({ status, plain: plain.slice(plain.indexOf("SmolLM2")) }).toEqual({ status: 0, plain: shown });
});

withSmollm2("README's pull prints what it shows, of a hub that serves the folder", async () => {
  const [, pull = "", said = "", run = "", answer = ""] =
    /```text\n\$ npx quipu (pull .*)\n([\s\S]*?)\$ npx quipu (-m .*)\n([\s\S]*?)```/.exec(README)!;
  const server = await HubServer.start();
  try {
    const { cache, env } = useHub(server, dir);
    const names = readdirSync(SMOLLM2, { withFileTypes: true }).filter((entry) => entry.isFile());
    const files = names.map(({ name }) => ({ path: name, bytes: readFileSync(join(SMOLLM2, name)) }));
    const commit = server.commit(pull.split(" ")[1]!, files);
    const { stdout, stderr } = await quipu(pull.split(" "), { env });
    const shown = (stderr + stdout).replace(server.url, "http://HUB").replace(cache, "CACHE").replace(commit, "COMMIT");
    const told = said.replace(/http:\S+/, "http://HUB").replace(/\/home\S+hub\//, "CACHE/");
    expect(shown).toBe(told.replace(/[0-9a-f]{40}/, "COMMIT"));
    const [, options = "", prompt = ""] = /^(.*) "(.*)"$/.exec(run)!;
    const answered = await quipu([...options.split(" "), prompt, "--newline"], { env });
    expect(answered).toEqual({ status: 0, stdout: answer, stderr: "" });
  } finally {
    await server.close();
  }
});

test("README's commands train a model, of this tree's own documents and for two steps", async () => {
  const [, section = ""] = README.split("\n## Train a model\n");
  const lines = /```sh\n([\s\S]*?)```/.exec(section)![1]!.trim().split("\n");
  expect(lines).toHaveLength(4);
  const folder = join(dir, "training");
  mkdirSync(folder);
  const documents = [
    README,
    REFERENCE,
    LIBRARY,
    ...readdirSync(join(ROOT, "docs/decisions")).map((name) => read(`docs/decisions/${name}`)),
  ];
  const texts = documents.flatMap((text) => text.split("\n\n")).map((text) => JSON.stringify({ text }));
  writeFileSync(join(folder, "stories.jsonl"), `${texts.join("\n")}\n`);
  const script = lines.join(" && ").replaceAll("npx quipu", "quipu").replace("--tokens 20000000", "--tokens 16000");
  const { status, stdout } = await bash(`${script} -n 12`, { cwd: folder });
  expect({ status, isText: stdout.length > 0 }).toEqual({ status: 0, isText: true });
  expect(readdirSync(join(folder, "run"))).toEqual([".lock", "log.jsonl", "model", "step-00000002"]);
});

test("README's two commands are those that CI runs first", () => {
  const ci = read(".ci/run");
  for (const command of ['npm install && npx quipu "Once upon a time"', "npm test"]) {
    expect(README).toMatch(new RegExp(`^${command} +#`, "m"));
    expect(ci).toContain(command);
  }
});
