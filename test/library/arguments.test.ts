// Every exported function, every argument and every option, with every kind of wrong value: what is refused is ERR_USAGE and
// names the argument, and nothing else is ever thrown.
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Kind } from "#quipu/arguments.js";
import { BENCHMARK_OPTIONS } from "#quipu/benchmark/benchmark.js";
import { PLAN_OPTIONS } from "#quipu/benchmark/plan.js";
import { CHAT_OPTIONS } from "#quipu/chat/option-kinds.js";
import { PRUNE_MODELS_OPTIONS } from "#quipu/checkpoint/hub/models.js";
import { PULL_OPTIONS } from "#quipu/checkpoint/hub/pull-options.js";
import { PACK_OPTIONS } from "#quipu/data/pack-options.js";
import { PRUNE_OPTIONS } from "#quipu/generate/cache.js";
import { INSPECT_OPTIONS } from "#quipu/generate/inspect.js";
import { LOAD_OPTIONS } from "#quipu/generate/load.js";
import { LOGITS_OPTIONS, NEXT_OPTIONS } from "#quipu/generate/model.js";
import { GENERATE_OPTIONS } from "#quipu/generate/option-kinds.js";
import * as quipu from "#quipu/index.js";
import { BATCH_OPTIONS, DECODE_OPTIONS, ENCODE_OPTIONS, STREAM_OPTIONS } from "#quipu/tokenizer/option-kinds.js";
import { TRAIN_OPTIONS } from "#quipu/tokenizer/training/settings.js";
import { SAVE_OPTIONS } from "#quipu/tokenizer/training/trained-tokenizer.js";
import { TRAIN_MODEL_OPTIONS } from "#quipu/train/training-options.js";
import { temporaryFolder } from "../checkpoint-writer.js";

const MODEL = "models/storyteller";
const dir = temporaryFolder();
Object.assign(process.env, { HF_HUB_OFFLINE: "1", HF_HOME: join(dir, "hub") }); // what is no mistake asks no hub
const throws = () => {
  throw new RangeError("mine");
};
const hostile = () => new Proxy({}, { get: throws, ownKeys: throws, getOwnPropertyDescriptor: throws });
const revoked = () => {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
};

const WRONG: readonly [string, unknown][] = [
  ["null", null],
  ["NaN", Number.NaN],
  ["−1.5", -1.5],
  ["1e300", 1e300],
  ["Infinity", Number.POSITIVE_INFINITY],
  ["a string", "x\0"],
  ["an empty string", ""],
  ["a bigint", 12n],
  ["a symbol", Symbol("s")],
  ["true", true],
  ["an object", {}],
  ["a list of what is wrong", [null, {}]],
  ["a list of NaN", [Number.NaN]],
  ["a function", () => 1],
  ["a Map", new Map([[{}, "x"]])],
  ["a date", new Date(0)],
  ["a web URL", new URL("https://example.org/x")],
  ["a file URL of another host", "file://host/x"],
  ["a DataView", new DataView(new ArrayBuffer(4))],
  ["a proxy that throws", hostile()],
  ["a revoked proxy", revoked()],
];

let model: quipu.ModelWithTokenizer;
let tokenizer: quipu.Tokenizer;
let trained: quipu.TrainedTokenizer;
let tokens: quipu.TokenFile;
const packing = { files: ["LICENSE"], tokenizer: MODEL, output: join(dir, "a.tokens"), force: true };
const training = { data: packing.output, init: "x", output: join(dir, "run"), steps: 1 };
let context: { tokenizer: never; chatTemplate: never; vocabSize: never };
const template = new quipu.ChatTemplate("{{ messages[0].content }}", {}, "here");
const message = [{ role: "user", content: "x" }];
beforeAll(async () => {
  model = await quipu.loadModel(MODEL, { threads: 1 });
  tokenizer = model.tokenizer;
  context = { tokenizer, chatTemplate: template, vocabSize: tokenizer.vocabSize } as never;
  await quipu.packCorpus(packing);
  tokens = await quipu.openTokens(packing.output);
  trained = await quipu.trainTokenizer({ files: ["LICENSE"], vocabSize: 300, threads: 1 });
});
afterAll(async () => {
  await tokens.close();
  await model.dispose();
});

const all = async (events: AsyncIterable<unknown>) => {
  for await (const _ of events);
};

/** What no option takes, whatever its table says. */
const NEVER = [
  ...["null", "NaN", "a bigint", "a symbol", "a list of what is wrong", "a list of NaN", "a date"],
  ...["a web URL", "a DataView", "a proxy that throws", "a revoked proxy"],
];

const TEXTS = ["a string", "an empty string", "a file URL of another host"];

interface Call {
  readonly call: (value: never) => unknown;
  /** Values of WRONG that this argument takes. */
  readonly takes?: readonly string[];
}

/** Arguments by position: what each call takes there. */
const ARGUMENTS: Record<string, Call> = {
  "loadModel pathOrName": { call: (v) => quipu.loadModel(v) },
  "inspectModel pathOrName": { call: (v) => quipu.inspectModel(v) },
  "planModel pathOrName": { call: (v) => quipu.planModel(v, { speed: false }) },
  "modelFolder pathOrName": { call: (v) => quipu.modelFolder(v) },
  "wholeModelFolder pathOrName": { call: (v) => quipu.wholeModelFolder(v) },
  "wholeModelFolder warn": { call: (v) => quipu.wholeModelFolder("src", v), takes: ["a function"] },
  "pullModel repo": { call: (v) => quipu.pullModel(v) },
  "removeModel repo": { call: (v) => quipu.removeModel(v) },
  "modelFolder warn": { call: (v) => quipu.modelFolder("src", v), takes: ["a function"] },
  "readConfig warn": { call: (v) => quipu.readConfig(MODEL, v), takes: ["a function"] },
  "runBenchmark pathOrName": { call: (v) => quipu.runBenchmark(v, {}) },
  "readConfig folder": { call: (v) => quipu.readConfig(v) },
  "loadTokenizer pathOrUrl": { call: (v) => quipu.loadTokenizer(v) },
  "packCorpus warn": { call: (v) => quipu.packCorpus(packing, v), takes: ["a function"] },
  "trainModel warn": { call: (v) => all(quipu.trainModel(training, v)), takes: ["a function"] },
  "trainingReport folder": { call: (v) => quipu.trainingReport(v) },
  "openTokens path": { call: (v) => quipu.openTokens(v) },
  "tokens.document document": { call: (v) => tokens.document(v) },
  "tokens.starts first": { call: (v) => tokens.starts(v, 0) },
  "tokens.starts count": { call: (v) => tokens.starts(0, v) },
  "tokens.tokens start": { call: (v) => tokens.tokens(v, 1) },
  "tokens.tokens end": { call: (v) => tokens.tokens(0, v) },
  "tokens.checkTokenizer tokenizer": { call: (v) => tokens.checkTokenizer(v) },
  "loadEncoding encoding": { call: (v) => quipu.loadEncoding(v) },
  "measurePeak target": { call: (v) => quipu.measurePeak(v, 1) },
  "measurePeak threads": { call: (v) => quipu.measurePeak("scalar", v) },
  "measureRoofs target": { call: (v) => quipu.measureRoofs(v, 1) },
  "measureRoofs threads": { call: (v) => quipu.measureRoofs("scalar", v) },
  "measureRoofs signal": { call: (v) => quipu.measureRoofs("scalar", 1, v) },
  "generate prompt": { call: (v) => all(model.generate(v, { maxTokens: 0 })), takes: TEXTS },
  "encode prompt": { call: (v) => model.encode(v), takes: TEXTS },
  "next prompt": { call: (v) => model.next(v), takes: TEXTS },
  "logits ids": { call: (v) => model.logits(v) },
  "tokenizer.encode text": { call: (v) => tokenizer.encode(v), takes: TEXTS },
  "tokenizer.count text": { call: (v) => tokenizer.count(v), takes: TEXTS },
  "tokenizer.encodeAsync text": { call: (v) => tokenizer.encodeAsync(v), takes: TEXTS },
  "tokenizer.countAsync text": { call: (v) => tokenizer.countAsync(v), takes: TEXTS },
  "tokenizer.encodeBatch texts": { call: (v) => tokenizer.encodeBatch(v) },
  "tokenizer.encodeStream chunks": {
    call: (v) => all(tokenizer.encodeStream(v)),
    takes: TEXTS,
  },
  "tokenizer.decode ids": { call: (v) => tokenizer.decode(v) },
  "tokenizer.decodeBytes ids": { call: (v) => tokenizer.decodeBytes(v) },
  "tokenizer.decodeSingleTokenBytes id": { call: (v) => tokenizer.decodeSingleTokenBytes(v) },
  "tokenizer.decodeTokensWithOffsets ids": { call: (v) => tokenizer.decodeTokensWithOffsets(v) },
  "streamDecoder.push id": { call: (v) => tokenizer.streamDecoder().push(v), takes: ["1e300"] },
  "loadChatTemplate folder": { call: (v) => quipu.loadChatTemplate(v) },
  "ChatTemplate sources": { call: (v) => new quipu.ChatTemplate(v, {}, "here"), takes: TEXTS },
  "ChatTemplate tokens": { call: (v) => new quipu.ChatTemplate("x", v, "here"), takes: ["an object"] },
  "ChatTemplate where": { call: (v) => new quipu.ChatTemplate("x", {}, v), takes: TEXTS },
  "render messages": { call: (v) => template.render(v) },
  "open messages": { call: (v) => template.open(v) },
  "encodeChat tokenizer": { call: (v) => quipu.encodeChat(v, template, message) },
  "encodeChat template": { call: (v) => quipu.encodeChat(tokenizer, v, message) },
  "encodeChat messages": { call: (v) => quipu.encodeChat(tokenizer, template, v) },
  "encodePrompt prompt": { call: (v) => quipu.encodePrompt(v, {}, context), takes: TEXTS },
  "encodePrompt tokenizer": { call: (v) => quipu.encodePrompt("x", {}, { ...context, tokenizer: v }) },
  "encodePrompt chatTemplate": { call: (v) => quipu.encodePrompt("x", {}, { ...context, chatTemplate: v }) },
  "encodePrompt vocabSize": { call: (v) => quipu.encodePrompt("x", {}, { ...context, vocabSize: v }) },
  "parseJson text": { call: (v) => quipu.parseJson(v), takes: TEXTS },
  "formatChatRequest request": { call: (v) => quipu.formatChatRequest(v) },
  "parseChatRequest text": { call: (v) => quipu.parseChatRequest(v), takes: TEXTS },
  "save output": { call: (v) => trained.save(v) },
};

/** Options: the table of each call, and how to call it. */
const OPTIONS: Record<string, [kinds: Readonly<Record<string, Kind>>, call: (options: never) => unknown]> = {
  loadModel: [LOAD_OPTIONS, (o) => quipu.loadModel(MODEL, o)],
  inspectModel: [INSPECT_OPTIONS, (o) => quipu.inspectModel(MODEL, o)],
  planModel: [PLAN_OPTIONS, (o) => quipu.planModel(MODEL, o)],
  "runBenchmark load": [LOAD_OPTIONS, (o) => quipu.runBenchmark(MODEL, o)],
  runBenchmark: [BENCHMARK_OPTIONS, (o) => quipu.runBenchmark(MODEL, {}, o)],
  "runBenchmark sampling": [GENERATE_OPTIONS, (o) => quipu.runBenchmark(MODEL, {}, { sampling: o })],
  generate: [GENERATE_OPTIONS, (o) => all(model.generate("x", o))],
  encode: [GENERATE_OPTIONS, (o) => model.encode("x", o)],
  next: [NEXT_OPTIONS, (o) => model.next("x", o)],
  logits: [LOGITS_OPTIONS, (o) => model.logits([1], o)],
  "tokenizer.encode": [ENCODE_OPTIONS, (o) => tokenizer.encode("x", o)],
  "tokenizer.count": [ENCODE_OPTIONS, (o) => tokenizer.count("x", o)],
  "tokenizer.encodeAsync": [ENCODE_OPTIONS, (o) => tokenizer.encodeAsync("x", o)],
  "tokenizer.countAsync": [ENCODE_OPTIONS, (o) => tokenizer.countAsync("x", o)],
  "tokenizer.encodeBatch": [BATCH_OPTIONS, (o) => tokenizer.encodeBatch(["x"], o)],
  "tokenizer.encodeStream": [STREAM_OPTIONS, (o) => all(tokenizer.encodeStream(["x"], o))],
  "tokenizer.decode": [DECODE_OPTIONS, (o) => tokenizer.decode([1], o)],
  "tokenizer.decodeBytes": [DECODE_OPTIONS, (o) => tokenizer.decodeBytes([1], o)],
  render: [CHAT_OPTIONS, (o) => template.render(message, o)],
  open: [CHAT_OPTIONS, (o) => template.open(message, o)],
  encodeChat: [CHAT_OPTIONS, (o) => quipu.encodeChat(tokenizer, template, message, o)],
  encodePrompt: [GENERATE_OPTIONS, (o) => quipu.encodePrompt("x", o, context)],
  trainTokenizer: [TRAIN_OPTIONS, (o) => quipu.trainTokenizer(o)],
  packCorpus: [PACK_OPTIONS, (o) => quipu.packCorpus(o)],
  trainModel: [TRAIN_MODEL_OPTIONS, (o) => all(quipu.trainModel(o))],
  pullModel: [PULL_OPTIONS, (o) => quipu.pullModel("org/name", o)],
  pruneModels: [PRUNE_MODELS_OPTIONS, (o) => quipu.pruneModels(o)],
  pruneCache: [PRUNE_OPTIONS, (o) => quipu.pruneCache(o)],
  save: [SAVE_OPTIONS, (o) => trained.save(join(dir, "t", "tokenizer.model"), o)],
};

/** What a call throws, at once or later. */
async function outcomeOf(call: () => unknown): Promise<{ code?: unknown; message: string } | undefined> {
  try {
    await call();
    return undefined;
  } catch (error) {
    return error as { message: string };
  }
}

/** Named, or a place in it: "tools[0]". */
const refused = (option: string) => {
  const place = new RegExp(`^${option}(\\[\\d+\\][\\w.[\\]]*)?(: .+)?$`, "s");
  return expect.objectContaining({
    ...{ code: "ERR_USAGE", option: expect.stringMatching(place), message: expect.stringMatching(place) },
  });
};

test.each(Object.entries(ARGUMENTS))("%s", async (what, { call, takes = [] }) => {
  const name = what.split(" ").at(-1)!;
  const optional =
    ["pathOrName", "signal", "warn"].includes(name) || /^encodePrompt (tokenizer|chatTemplate)$/.test(what);
  for (const [said, value] of optional ? WRONG : [...WRONG, ["nothing", undefined] as const]) {
    const outcome = await outcomeOf(() => call(value as never));
    if (!takes.includes(said)) expect([said, outcome]).toEqual([said, refused(name)]);
    else if (outcome !== undefined) expect([said, quipu.isQuipuError(outcome)]).toEqual([said, true]);
  }
});

describe.each(Object.entries(OPTIONS))("options of %s", (_, [kinds, call]) => {
  const names = Object.keys(kinds);

  test("each refuses what it cannot be", async () => {
    for (const [name, kind] of Object.entries(kinds)) {
      for (const [said, value] of WRONG) {
        if (!NEVER.includes(said) && isAccepted(kind, value)) continue;
        const outcome = await outcomeOf(() => call({ [name]: value } as never));
        expect([name, said, outcome]).toEqual([name, said, refused(name)]);
      }
      const getter = Object.defineProperty({}, name, { enumerable: true, get: throws });
      expect(await outcomeOf(() => call(getter as never))).toEqual(refused(name));
    }
  });

  test("one that is not there is refused, with the one that was meant", async () => {
    for (const name of names) {
      const typo = `${name[0]}${name}`;
      expect(await outcomeOf(() => call({ [typo]: 1 } as never))).toMatchObject({
        ...{ code: "ERR_USAGE", option: typo },
        message: expect.stringMatching(new RegExp(`Did you mean (${name}|stop)\\?$`)), // stop: as near to ttop as top
      });
    }
    const strange = await outcomeOf(() => call({ nothingLikeIt: 1 } as never));
    expect(strange).toEqual(refused("nothingLikeIt"));
    expect(strange!.message).toContain(names.join(", "));
  });

  test("what is no object of options is refused", async () => {
    for (const [said, value] of WRONG) {
      if (said === "an object") continue;
      expect([said, await outcomeOf(() => call(value as never))]).toEqual([
        said,
        expect.objectContaining({ code: "ERR_USAGE" }),
      ]);
    }
  });
});

function isAccepted(kind: Kind, value: unknown): boolean {
  try {
    return kind.accepts(value);
  } catch {
    return false;
  }
}

test.each<[string, unknown]>([
  ["maxTokens", -2],
  ["maxTokens", 1.5],
  ["temperature", -0.1],
  ["temperature", 101],
  ["temperature", "1"],
  ["topK", -1],
  ["topK", 2 ** 31],
  ["topP", 0],
  ["topP", 1.1],
  ["minP", 2],
  ["repeatPenalty", 0],
  ["presencePenalty", Number.POSITIVE_INFINITY],
  ["frequencyPenalty", -101],
  ["seed", -1],
  ["seed", 2 ** 53],
  ["logprobs", 21],
  ["stop", "text"],
  ["stop", [""]],
  ["stop", [1]],
  ["stopIds", 3],
  ["stopIds", [-1]],
  ["stopIds", [1.5]],
  ["stopIds", [""]],
  ["logitBias", { 1: 2 }],
  ["logitBias", [[1, 2]]],
  ["onOverflow", "slides"],
  ["special", "error"],
  ["top", 0],
  ["top", 2049],
])("%s %p is refused", async (name, value) => {
  expect(await outcomeOf(() => model.next("x", { [name]: value }))).toEqual(refused(name));
});

test.each<[string, unknown]>([
  ["threads", 0],
  ["threads", 1025],
  ["contextLength", 1],
  ["contextLength", 513],
  ["kvCache", "f8"],
  ["batchSize", 65537],
  ["slots", 0],
  ["slotTimeoutMs", -1],
  ["quantize", "q6"],
  ["device", "gpu"],
  ["fuse", ["matmulSwiglu", "swiglu"]],
  ["mmap", 0],
])("loadModel: %s %p is refused", async (name, value) => {
  expect(await outcomeOf(() => quipu.loadModel(MODEL, { [name]: value }))).toEqual(refused(name));
});

test("every function and method of the library is in these tables", () => {
  const methods = (of: object) =>
    Object.getOwnPropertyNames(Object.getPrototypeOf(of)).filter((name) => name !== "constructor");
  const functions = Object.entries(quipu).flatMap(([name, value]) => (typeof value === "function" ? [name] : []));
  const all = [
    ...functions,
    ...methods(model),
    ...methods(tokenizer).map((name) => `tokenizer.${name}`),
    ...methods(trained),
    ...methods(template),
  ];
  const tested = [...Object.keys(ARGUMENTS), ...Object.keys(OPTIONS)].map((name) => name.split(" ")[0]);
  const withoutArguments = [
    ...[
      "describeGpus",
      "describeHost",
      "describeMachine",
      "listCache",
      "clearCache",
      "cacheFolder",
      "conversation", // whose generate() is the model's
      "listModels",
      "hubCacheFolder",
      "stats",
      "dispose",
      "problems",
      "tokenizer.streamDecoder",
    ],
    ...["tokenizerModel", "tokenizerJson", "tokenizerConfig"],
  ];
  const elsewhere = ["isQuipuError", "QuipuError", "source"]; // errors.test.ts, unit/chat/template.test.ts
  const known = new Set([...tested, ...withoutArguments, ...elsewhere]);
  expect(all.filter((name) => !known.has(name))).toEqual([]);
});

describe("what is accepted beside the plain form", () => {
  const url = new URL("../../../models/storyteller/", import.meta.url);

  test.each([
    ["a URL", url],
    ["its text", url.href],
  ])("%s names a folder", async (_, folder) => {
    expect(quipu.modelFolder(folder)).toBe(fileURLToPath(url));
    expect((await quipu.readConfig(folder)).vocabSize).toBe(2048);
    expect((await quipu.inspectModel(folder)).tokenizer).toBe("tokenizer.json");
    expect((await quipu.loadTokenizer(folder)).vocabSize).toBe(2048);
    await using loaded = await quipu.loadModel(folder, { threads: 1 });
    expect(loaded.encode("x")).toEqual(model.encode("x"));
  });

  test("ids in an array, a typed array or a set", async () => {
    const ids = [...model.encode("Once upon")];
    const typed = [Int32Array.from(ids), Uint16Array.from(ids), Float64Array.from(ids)];
    for (const same of [ids, ...typed] as number[][]) {
      expect(model.encode(same)).toEqual(Int32Array.from(ids));
      expect(tokenizer.decode(same)).toBe("Once upon");
      expect(await model.next(same)).toEqual(await model.next("Once upon"));
      expect(await model.logits(same)).toEqual(await model.logits(Int32Array.from(ids)));
    }
    expect(tokenizer.decode(new Set(ids))).toBe("Once upon");
  });
});
