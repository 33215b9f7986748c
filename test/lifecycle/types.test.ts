// The types as users of TypeScript meet them, as strict as it gets: README's examples, and every export in use.
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as quipu from "#quipu/index.js";
import { temporaryFolder } from "../checkpoint-writer.js";

const root = process.cwd();
const dir = temporaryFolder();
mkdirSync(join(dir, "node_modules"));
symlinkSync(root, join(dir, "node_modules", "quipu-llm"), "dir");

const STRICT = {
  ...{ strict: true, exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true, noImplicitReturns: true },
  ...{ noPropertyAccessFromIndexSignature: true, noEmit: true, skipLibCheck: false, checkJs: true },
  ...{ module: "nodenext", target: "es2023", lib: ["es2023"], types: ["node"] },
  typeRoots: [join(root, "node_modules", "@types")],
};

/** What tsc says of these files, with other compiler options; nothing, where all is well. */
function check(files: Readonly<Record<string, string>>, others: Readonly<Record<string, unknown>> = {}): string {
  for (const [name, text] of Object.entries(files)) writeFileSync(join(dir, name), text);
  writeFileSync(
    join(dir, "tsconfig.json"),
    JSON.stringify({ compilerOptions: { ...STRICT, ...others }, files: Object.keys(files) }),
  );
  const tsc = join(root, "node_modules/typescript/bin/tsc");
  return spawnSync(process.execPath, [tsc, "-p", dir], { encoding: "utf8" }).stdout;
}

test("the documents' examples compile, as TypeScript and as JavaScript", () => {
  const documents = ["README.md", "docs/library.md"].map((file) => readFileSync(file, "utf8")).join("");
  const examples = [...documents.matchAll(/```js\n([\s\S]*?)```/g)].map(([, code]) => code!);
  expect(examples.length).toBeGreaterThan(2);
  const files = examples.flatMap((code, i) => [
    [`example${i}.mts`, code],
    [`example${i}.mjs`, code],
  ]);
  expect(check(Object.fromEntries(files))).toBe("");
});

test.each(["es2022", "es2024"])("the types need nothing beside the language's own and the DOM's: %s", (target) => {
  const code = `
    import { loadModel } from "quipu-llm";
    const model = await loadModel();
    const ids: Int32Array = model.tokenizer.encode("Once upon a", { bos: true });
    console.log(ids.length, (await model.logits(ids)).length);
    await model.dispose();\n`;
  expect(check({ "plain.mts": code }, { target, lib: [target, "dom"], types: [] })).toBe("");
});

const USES: Readonly<Record<string, string>> = {
  loadModel: `
    const model: quipu.ModelWithTokenizer = await quipu.loadModel(new URL("file:///x"), {
      tokenizer: undefined,
      cache: true,
      onCacheWrite: (path, bytes) => console.log(path.length, bytes.toFixed()),
    });
    const size: number = model.tokenizer.vocabSize;
    const bare: quipu.Model = await quipu.loadModel(undefined, { tokenizer: false, threads: 2, slotTimeoutMs: Infinity });
    // @ts-expect-error it may have none
    bare.tokenizer.vocabSize;
    declare const options: quipu.LoadOptions;
    const either: quipu.Model = await quipu.loadModel("x", options);
    const same: quipu.Model = model;
    // @ts-expect-error no such option
    await quipu.loadModel("x", { thread: 2 });
    await either.dispose();
    const next: quipu.TokenLogprob[] = await same.next([1, 2, 3], { top: size, signal: AbortSignal.timeout(1) });
    const logits: Float32Array = await same.logits([1, 2], { signal: undefined });
    const ids: Int32Array = model.encode([{ role: "user", content: "x" }], { raw: false });
    const stats: quipu.ModelStats = model.stats();
    export { ids, logits, next, stats };
    for await (const event of model.generate("x", { stopIds: [1, "</s>"], special: true, maxTokens: undefined })) {
      if (event.type === "start") console.log(event.settings.stopIds.length);
      if (event.type === "token") console.log(event.id, event.top?.[0]?.text);
      if (event.type === "end") console.log(event.reason, event.stoppedBy?.id, event.stoppedBy?.text);
    }
    const stops: readonly quipu.StopToken[] = model.stopTokens;
    export { stops };`,
  planModel: `
    const source: quipu.CheckpointSource = {
      ...{ where: "there", files: [{ name: "config.json", bytes: 2 }], isLocal: false },
      readRange: async (_name: string, first: number, last: number) => new Uint8Array(last - first),
    };
    const plan: quipu.ModelPlan = await quipu.planModel(source, { quantize: "q4", speed: false });
    const [load]: readonly quipu.LoadPlan[] = plan.loads;
    const fitting: quipu.Fitting | undefined = load?.fitting;
    const speed: quipu.ExpectedSpeed | undefined = load?.speed;
    // @ts-expect-error
    await quipu.planModel("x", { mmap: true });`,
  inspectModel: `
    const report: quipu.ModelReport = await quipu.inspectModel("x", { kvCache: "int8", contextLength: undefined });
    export const first: string | undefined = report.stopTokens[0]?.sources[0];`,
  runBenchmark: `
    const measured: quipu.BenchmarkResult = await quipu.runBenchmark(undefined, { threads: 1 }, { sampling: { topK: 3 } });
    export const row: quipu.BenchmarkRow | undefined = measured.rows[0];`,
  measurePeak: `export const peak: number = await quipu.measurePeak(quipu.describeMachine().target, 1);`,
  measureRoofs: `export const roofs: quipu.Roofs = await quipu.measureRoofs(quipu.describeMachine().target, 1);`,
  describeGpus:
    "const { gpus, problem }: quipu.Gpus = quipu.describeGpus(); const names: string[] = gpus.map(({ name }) => name);",
  describeMachine: `export const machine: quipu.Machine = quipu.describeMachine();`,
  describeHost: `export const { glibc }: quipu.Host = quipu.describeHost();`,
  cacheFolder: `export const folder: string = quipu.cacheFolder();`,
  listCache: `export const gone: quipu.CacheEntry[] = quipu.listCache().filter(({ state }) => state === "gone");`,
  clearCache: `export const bytes: number | undefined = quipu.clearCache()[0]?.bytes;`,
  pruneCache: `export const removed: quipu.CacheEntry[] = quipu.pruneCache({ maxBytes: 1e9, model: undefined });`,
  pullModel: `
    const pulled: quipu.PullResult = await quipu.pullModel("org/name@main", {
      include: ["*.json"],
      confirm: ({ bytesToFetch }: quipu.PullPlan) => bytesToFetch < 1e9,
      onProgress: ({ path, done, size }: quipu.PullProgress) => console.log(path, done / size),
      onNotice: console.log,
      signal: AbortSignal.timeout(1),
    });
    export const verified: "sha256" | "git-sha1" | "size" | undefined = pulled.files[0]?.verified;`,
  listModels: `
    const models: quipu.CachedModel[] = quipu.listModels();
    export const problem: string | undefined = models[0]?.revisions[0]?.problem;`,
  removeModel: `export const removed: quipu.RemovedItem[] = quipu.removeModel("org/name");`,
  pruneModels: `export const pruned: quipu.RemovedItem[] = quipu.pruneModels({ dryRun: true });`,
  hubCacheFolder: `export const folder: string = quipu.hubCacheFolder();`,
  wholeModelFolder: `export const folder: string = quipu.wholeModelFolder("org/name");`,
  modelFolder: `export const folder: string = quipu.modelFolder() + quipu.modelFolder(import.meta.url);`,
  readConfig: `export const config: quipu.LlamaConfig = await quipu.readConfig("x");`,
  EXIT_CODES: `export const status: number = quipu.EXIT_CODES.ERR_BUSY;`,
  isQuipuError: `
    export function say(error: unknown): string {
      return quipu.isQuipuError(error) ? \`\${error.code} \${error.option ?? ""}\` : "";
    }`,
  QuipuError: `export const error: Error = new quipu.QuipuError("ERR_USAGE", "x", { option: "y", cause: 1 });`,
  loadTokenizer: `
    const tokenizer: quipu.Tokenizer = await quipu.loadTokenizer("x");
    const special: quipu.SpecialText = ["</s>"];
    export const parts: Int32Array[] = await tokenizer.encodeBatch(["x", new Uint8Array()], { special, threads: 2 });
    export const text: string = tokenizer.decode([1, 2], { special: true }) + tokenizer.streamDecoder({ goesOn: true }).push(1);
    for await (const some of tokenizer.encodeStream(["x"])) console.log(some.length);`,
  loadEncoding: `
    const name: quipu.EncodingName | undefined = quipu.ENCODING_NAMES[0];
    export const encoding = await quipu.loadEncoding(name ?? "o200k_base");`,
  ENCODING_NAMES: `export const names: readonly string[] = quipu.ENCODING_NAMES;`,
  encodePrompt: `
    declare const context: quipu.PromptContext;
    export const prompted: Int32Array = quipu.encodePrompt([1, 2], undefined, context);`,
  parseJson: `export const json: unknown = quipu.parseJson("1.0");`,
  parseChatRequest: `
    const request: quipu.ChatRequest = quipu.parseChatRequest("[]");
    export const others: readonly string[] = request.otherFields;`,
  formatChatRequest: `
    declare const loadedModel: quipu.Model;
    using conversation: quipu.Conversation = loadedModel.conversation();
    const turns: quipu.ChatMessage[] = [{ role: "user", content: "x" }];
    for await (const event of conversation.generate(turns, { onOverflow: "slide" })) {
      if (event.type === "start") console.log(event.droppedMessages.toFixed());
    }
    // @ts-expect-error messages are the least
    quipu.formatChatRequest({ tools: [] });
    export const saved: string = quipu.formatChatRequest({ messages: turns }, { temperature: 0.5 });`,
  loadChatTemplate: `
    const loaded = await quipu.loadChatTemplate("x");
    const messages = [{ role: "user", content: "x" }];
    export const rendered: string | undefined = loaded?.render(messages, { addGenerationPrompt: true });`,
  ChatTemplate: `export const template = new quipu.ChatTemplate("{{ messages }}", { bos_token: "<s>" }, "here");`,
  encodeChat: `
    declare const by: quipu.Tokenizer;
    declare const chat: quipu.ChatTemplate;
    export const encoded: Int32Array = quipu.encodeChat(by, chat, [{ role: "user", content: "x" }], { addGenerationPrompt: true });`,
  trainTokenizer: `
    const trained: quipu.TrainedTokenizer = await quipu.trainTokenizer({ files: ["x", new URL("file:///y")], vocabSize: 300 });
    export const paths: string[] = await trained.save("x", { force: true });`,
  trainModel: `
    const steps: quipu.TrainingStep[] = [];
    const options: quipu.TrainOptions = { data: "x", init: "storyteller-2m", output: "y", tokens: 1e6, schedule: "linear" };
    for await (const event of quipu.trainModel(options)) {
      if (event.type === "step") steps.push(event);
      if (event.type === "evaluation") console.log(event.bitsPerByte.toFixed(3));
    }
    export { steps };`,
  trainingReport: `export const page: string = await quipu.trainingReport("x");`,
  packCorpus: `
    const corpus: quipu.PackedCorpus = await quipu.packCorpus({ files: ["x"], tokenizer: "y", output: "z", bosToken: false });
    const held: quipu.PackedFile | undefined = corpus.heldOut;
    export const eos: number | undefined = held?.eosId;`,
  openTokens: `
    const file: quipu.TokenFile = await quipu.openTokens(new URL("file:///x"));
    const info: quipu.TokenFileInfo = file.info;
    export const document: Int32Array = await file.document(info.documents - 1);
    await file.close();`,
};

test("every export compiles in use, and what is wrong does not", () => {
  expect(Object.keys(USES).sort()).toEqual(Object.keys(quipu).sort());
  const files = Object.entries(USES).map(([name, code]) => [
    `${name}.mts`,
    `import * as quipu from "quipu-llm";${code}\n`,
  ]);
  expect(check(Object.fromEntries(files))).toBe("");
});
