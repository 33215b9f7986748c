// Ending things early: signals, leaving the loop, dispose(). On a model whose prompt takes seconds.
import { getEventListeners } from "node:events";
import { join } from "node:path";
import type { GenerateOptions } from "#quipu/generate/events.js";
import { loadModel } from "#quipu/generate/load.js";
import type { Model } from "#quipu/generate/model.js";
import { temporaryFolder } from "../checkpoint-writer.js";
import { complete } from "../model/run-model.js";
import { processorTime } from "../processor-time.js";
import { writeSlowCheckpoint } from "../slow-checkpoint.js";

const dir = writeSlowCheckpoint(join(temporaryFolder(), "slow"));
const load = (slots = 1) => loadModel(dir, { tokenizer: false, threads: 2, slots });
const long = new Int32Array(3000).fill(5);
const short = Int32Array.of(1, 2, 3);
const greedy = { temperature: 0, maxTokens: 100 } as const;
/** Turns of the event loop, until what was asked for is with the device. */
const turns = async () => {
  for (let i = 0; i < 3; i++) await new Promise((resolve) => setImmediate(resolve));
};
const codeOf = (promise: Promise<unknown>) =>
  promise.then(
    () => "done",
    (error) => error.code as string,
  );

/** Says that the work that is to be ended is under way. */
type Begun = () => void;

/** Milliseconds of processor time; what is ended here has seconds left. */
const SOON = 200;

/** The processor time that `work` takes after its signal is aborted, once it is under way. */
async function timeToEnd(work: (signal: AbortSignal, begun: Begun) => Promise<unknown>): Promise<number> {
  const controller = new AbortController();
  let working: Promise<unknown> | undefined;
  await new Promise<void>((begun) => {
    working = work(controller.signal, begun);
  });
  const before = process.cpuUsage();
  controller.abort();
  await working;
  expect(getEventListeners(controller.signal, "abort")).toEqual([]);
  return processorTime(before);
}

/** Begins a prompt that takes seconds; resolves when its first step is done. */
async function beginLong(on: Model, signal: AbortSignal): Promise<{ ended: Promise<unknown> }> {
  let ended: Promise<unknown> | undefined;
  await new Promise<void>((onPromptProgress) => {
    ended = complete(on, long, { ...greedy, signal, onPromptProgress: () => onPromptProgress() });
  });
  return { ended: ended! };
}

let model: Model;
let two: Model;
beforeAll(async () => {
  [model, two] = [await load(), await load(2)];
});
afterAll(() => Promise.all([model.dispose(), two.dispose()]));

describe("a signal ends within 200 ms of processor time", () => {
  const aborted = async (on: Model, prompt: Int32Array, options: GenerateOptions, onToken: Begun = () => {}) => {
    const ids: number[] = [];
    for await (const event of on.generate(prompt, { ...greedy, ...options })) {
      if (event.type === "token") {
        ids.push(event.id);
        onToken();
      }
      if (event.type === "end") expect(event.reason).toBe("abort");
    }
    return ids;
  };

  test("a prompt", async () => {
    const done: number[] = [];
    const work = (signal: AbortSignal, begun: Begun) => {
      const onPromptProgress = (rows: number) => {
        done.push(rows);
        begun();
      };
      return aborted(model, long, { signal, onPromptProgress });
    };
    expect(await timeToEnd(work)).toBeLessThan(SOON);
    expect(Math.max(...done)).toBeLessThan(2000);
  });

  test("decoding, and what was said stays said", async () => {
    const all = new Array(100).fill(0);
    const work = async (signal: AbortSignal, begun: Begun) => {
      const ids = await aborted(model, short, { signal, maxTokens: -1 }, begun);
      expect(ids.length).toBeGreaterThan(0);
      expect(ids).toEqual(all.slice(0, ids.length));
    };
    expect(await timeToEnd(work)).toBeLessThan(SOON);
  });

  test.each([
    ["waiting for a slot", () => model],
    ["a prompt that waits behind a step of another", () => two],
  ])("%s", async (_, on) => {
    const other = new AbortController();
    const { ended } = await beginLong(on(), other.signal);
    const work = (signal: AbortSignal, begun: Begun) => {
      void turns().then(begun);
      return aborted(on(), short, { signal });
    };
    expect(await timeToEnd(work)).toBeLessThan(SOON);
    other.abort();
    await ended;
  });

  test.each([
    ["scoring", (signal: AbortSignal) => model.logits(long, { signal })],
    ["next()", (signal: AbortSignal) => model.next(long, { signal })],
  ])("%s", async (_, start) => {
    const work = async (signal: AbortSignal, begun: Begun) => {
      void turns().then(begun);
      expect(await codeOf(start(signal))).toBe("ERR_ABORTED");
    };
    expect(await timeToEnd(work)).toBeLessThan(SOON);
  });
});

test("a signal that is aborted already: start and end, nothing between", async () => {
  const { ids, end } = await complete(model, long, { signal: AbortSignal.abort() });
  expect({ ids, reason: end.reason }).toEqual({ ids: [], reason: "abort" });
  expect(await codeOf(loadModel(dir, { tokenizer: false, signal: AbortSignal.abort() }))).toBe("ERR_ABORTED");
});

test("an abort from inside the loop ends it after the current token", async () => {
  const controller = new AbortController();
  const seen: string[] = [];
  for await (const event of model.generate(short, { ...greedy, signal: controller.signal })) {
    seen.push(event.type === "end" ? event.reason : event.type);
    if (event.type === "token") controller.abort();
  }
  expect(seen).toEqual(["start", "token", "abort"]);
});

test.each(["start", "token"])("leaving the loop at a %s event frees the slot, also for who waits", async (type) => {
  const { signal } = new AbortController();
  const next = async () => {
    for await (const event of model.generate(short, { ...greedy, signal })) {
      if (event.type === type) break;
    }
  };
  await Promise.all([next(), next(), next()]);
  expect(getEventListeners(signal, "abort")).toEqual([]);
  expect((await complete(model, short, { ...greedy, maxTokens: 2 })).ids).toEqual([0, 0]);
});

describe("dispose()", () => {
  test("ends everything that runs or waits with ERR_DISPOSED, soon", async () => {
    const victim = await load(2);
    const { ended } = await beginLong(victim, new AbortController().signal);
    const work = [
      ended,
      complete(victim, short, { ...greedy, maxTokens: -1 }),
      complete(victim, short, greedy),
      victim.logits(long),
      victim.next(long),
    ].map(codeOf);
    await turns();
    const before = process.cpuUsage();
    await Promise.all([victim.dispose(), victim.dispose()]);
    expect(await Promise.all(work)).toEqual(new Array(5).fill("ERR_DISPOSED"));
    expect(processorTime(before)).toBeLessThan(SOON);
  });

  test("ends who waits for a slot whose holder asks for nothing", async () => {
    const victim = await load(1);
    const idle = victim.generate(short, greedy);
    await idle.next();
    await idle.next(); // the first token: from here on nothing happens before the next event is asked for
    const waiting = codeOf(victim.next(short));
    await turns();
    await victim.dispose();
    expect(await waiting).toBe("ERR_DISPOSED");
  }, 20_000);

  test("leaves nothing that can be used", async () => {
    let left: Model;
    {
      await using used = await load();
      left = used;
      expect((await complete(used, short, { ...greedy, maxTokens: 1 })).ids).toEqual([0]);
    }
    for (const use of [() => complete(left, short), () => left.logits(short), () => left.next(short)]) {
      expect(await codeOf(use())).toBe("ERR_DISPOSED");
    }
    expect(() => left.stats()).toThrow(expect.objectContaining({ code: "ERR_DISPOSED" }));
  });
});
