// Any requests at once say what each says alone, whatever rides in their steps: arrivals, lengths, aborts at every phase, readers
// of all kinds, settings, chunks of prompts, cold and warm beginnings, and caches so small that requests wait and pages are evicted.
import fc from "fast-check";
import { isQuipuError } from "#quipu/errors.js";
import type { Scheduler } from "#quipu/generate/scheduler.js";
import type { SamplingRequest, Sequence } from "#quipu/generate/sequence.js";
import type { KvCacheType } from "#quipu/model/kv-cache.js";
import type { SampledToken } from "#quipu/model/runtime.js";
import { someIds } from "../model/run-model.js";
import { PLAIN, refuseSteps, request, turns, vocabSize, withScheduler } from "../model/scheduling.js";

const CONTEXT = 256;

/** Prompts begin with one of these, so that some begin the same. */
const TEXTS = [1, 2].map((seed) => someIds(CONTEXT, vocabSize, seed));

interface Asked {
  readonly ids: Int32Array;
  /** Undefined: logits. */
  readonly sampling: SamplingRequest | undefined;
  /** Turns of the event loop before it comes, and between two of its tokens. */
  readonly arrives: number;
  readonly pause: number;
  /** Its signal: never, or so many turns after it came. */
  readonly aborts: number | undefined;
  /** The reader leaves after so many tokens, as at a stop text. */
  readonly leaves: number | undefined;
}

const asked: fc.Arbitrary<Asked> = fc
  .record({
    text: fc.constantFrom(...TEXTS),
    shared: fc.constantFrom(0, 1, 63, 64, 65, 128, 130, 200),
    own: fc.integer({ min: 1, max: 20 }),
    ownSeed: fc.integer({ min: 1, max: 3 }),
    scores: fc.constantFrom(false, false, false, false, true),
    maxTokens: fc.integer({ min: 1, max: 80 }),
    seed: fc.integer({ min: 0, max: 3 }),
    temperature: fc.constantFrom(0, 0.7, 1.5),
    penalty: fc.constantFrom(1, 1.3),
    frequencyPenalty: fc.constantFrom(0, 0, 0.5),
    topK: fc.constantFrom(0, 40),
    bias: fc.constantFrom(0, 2),
    stopIds: fc.constantFrom<number[]>(
      [],
      Array.from({ length: 20 }, (_, i) => 7 * i),
    ), // more than a step can hold
    best: fc.constantFrom(0, 0, 1, 3, 25),
    promptCache: fc.constantFrom(true, true, true, false),
    arrives: fc.nat(40),
    pause: fc.constantFrom(0, 0, 0, 1, 5),
    aborts: fc.option(fc.nat(60), { nil: undefined, freq: 2 }),
    leaves: fc.option(fc.nat(20), { nil: undefined, freq: 3 }),
  })
  .map(({ text, shared, own, ownSeed, scores, ...rest }) => {
    const ids = Int32Array.of(...text.subarray(0, shared), ...someIds(own, vocabSize, ownSeed));
    const { temperature, topK, frequencyPenalty, seed, penalty, bias } = rest;
    const settings = {
      ...PLAIN.settings,
      ...{ temperature, topK, frequencyPenalty, seed, repeatPenalty: penalty, logitBias: new Map([[5, bias]]) },
    };
    const maxTokens = Math.min(rest.maxTokens, CONTEXT - ids.length);
    const { stopIds, best, promptCache } = rest;
    const sampling = { settings, maxTokens, stopIds, best, promptCache };
    return { ...rest, ids, sampling: scores ? undefined : sampling };
  });

interface Machine {
  readonly kvCache: KvCacheType;
  readonly slots: number;
  readonly batchSize: number;
  readonly cacheTokens: number;
  readonly threads: number;
  /** Rows of a step that there is memory for, and when larger ones are refused. */
  readonly memory: { readonly rows: number; readonly when: "at once" | "in turn" } | undefined;
}

/** What came: tokens, or all logits. */
interface Answer {
  readonly tokens: SampledToken[];
  readonly logits: Float32Array;
  readonly error: unknown;
  readonly cachedTokens: number;
}

async function ask(scheduler: Scheduler, { ids, sampling, pause, aborts, leaves }: Asked): Promise<Answer> {
  const controller = new AbortController();
  const logits = new Float32Array(sampling === undefined ? ids.length * vocabSize : 0);
  const tokens: SampledToken[] = [];
  const sequence: Sequence = scheduler.submit({
    ...request(ids, {}, { signal: controller.signal }),
    wanted: sampling ?? logits,
  });
  if (aborts !== undefined) void turns(aborts).then(() => controller.abort());
  try {
    while (tokens.length !== leaves) {
      const token = await sequence.next();
      if (token === undefined) break;
      tokens.push(token);
      await turns(pause);
    }
    return { tokens, logits, error: undefined, cachedTokens: sequence.cachedTokens };
  } catch (error) {
    return { tokens, logits, error, cachedTokens: sequence.cachedTokens };
  } finally {
    sequence.end();
  }
}

const alone = new Map<string, Answer>();

/** What a request says when nothing else is there, and nothing was before. */
async function askAlone(kvCache: KvCacheType, asked: Asked): Promise<Answer> {
  const { ids } = asked;
  const sampling = asked.sampling && { ...asked.sampling, promptCache: false };
  const { logitBias, ...settings } = sampling?.settings ?? PLAIN.settings;
  const key = JSON.stringify([kvCache, [...ids], sampling, settings, [...logitBias]]);
  let answer = alone.get(key);
  if (answer === undefined) {
    const undisturbed = { ...asked, sampling, pause: 0, aborts: undefined, leaves: undefined };
    answer = await withScheduler({ kvCache, slots: 1 }, (scheduler) => ask(scheduler, undisturbed));
    alone.set(key, answer);
  }
  return answer;
}

const bitsOf = (values: Float32Array) => new Uint32Array(values.buffer, values.byteOffset, values.length);

test("any requests at once", async () => {
  const seen = { tokens: 0, aborted: 0, refused: 0, warm: 0, full: 0, waited: 0 };
  const machine: fc.Arbitrary<Machine> = fc.record({
    kvCache: fc.constantFrom<KvCacheType>("f32", "f16", "int8"),
    slots: fc.integer({ min: 1, max: 5 }),
    batchSize: fc.constantFrom(1, 7, 40, 512),
    cacheTokens: fc.constantFrom(CONTEXT, 384, 640, 2048),
    threads: fc.constantFrom(1, 2),
    memory: fc.option(
      fc.record({
        rows: fc.constantFrom(1, 2, 9, 45, 130),
        when: fc.constantFrom<"at once" | "in turn">("at once", "in turn"),
      }),
      { nil: undefined, freq: 2 },
    ),
  });
  const property = async ({ memory, ...options }: Machine, requests: readonly Asked[]) => {
    const answers = await withScheduler({ contextLength: CONTEXT, ...options }, async (scheduler, _, runtime) => {
      if (memory !== undefined) refuseSteps(runtime, (rows) => rows.length > memory.rows, memory.when);
      const asking = requests.map(async (each) => {
        await turns(each.arrives);
        const answer = ask(scheduler, each);
        await turns(1);
        const { waiting, pages } = scheduler.stats();
        if (waiting > 0) seen.waited += 1;
        if (pages.free === 0) seen.full += 1;
        return answer;
      });
      const answers = await Promise.all(asking);
      while (scheduler.stats().running > 0) await turns(1); // steps that were ended land
      const { running, waiting, pages } = scheduler.stats();
      expect({ running, waiting, used: pages.used, shared: pages.shared }).toEqual({
        ...{ running: 0, waiting: 0, used: 0, shared: 0 },
      });
      return answers;
    });
    for (const [i, { tokens, logits, error, cachedTokens }] of answers.entries()) {
      const asked = requests[i]!;
      const expected = await askAlone(options.kvCache, asked);
      seen.tokens += tokens.length;
      if (cachedTokens > 0) seen.warm += 1;
      if (memory !== undefined && isQuipuError(error) && error.code === "ERR_OUT_OF_MEMORY") {
        seen.refused += 1;
      } else if (error !== undefined) {
        expect([asked.aborts, error]).toEqual([expect.any(Number), expect.objectContaining({ code: "ERR_ABORTED" })]);
        seen.aborted += 1;
      } else {
        const length = Math.min(expected.tokens.length, asked.leaves ?? Number.POSITIVE_INFINITY);
        expect(tokens).toHaveLength(length);
        if (asked.leaves !== 0) expect(bitsOf(logits)).toEqual(bitsOf(expected.logits));
      }
      expect(tokens).toEqual(expected.tokens.slice(0, tokens.length));
    }
  };
  const numRuns = process.env.QUIPU_EXHAUSTIVE ? 150 : process.env.QUIPU_SANITIZED ? 10 : 40;
  const requests = fc.array(asked, { minLength: 1, maxLength: 12 });
  // What is in flight when differs from run to run: it goes on until all of it was seen.
  for (let round = 0; round === 0 || (round < 10 && Object.values(seen).includes(0)); round++) {
    await fc.assert(fc.asyncProperty(machine, requests, property), { numRuns });
  }
  expect(Object.entries(seen).filter(([, count]) => count === 0)).toEqual([]);
}, 600_000);
