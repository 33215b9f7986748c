// The scheduler over a tiny model: who is in a step, how far ahead steps are queued, who waits and who is refused.
import { jest } from "@jest/globals";
import { openDevice } from "#quipu/device/device.js";
import type { Scheduler } from "#quipu/generate/scheduler.js";
import type { Sequence } from "#quipu/generate/sequence.js";
import { StepTimes } from "#quipu/generate/step-times.js";
import { compile } from "#quipu/graph/program.js";
import { Recorder } from "#quipu/graph/recorder.js";
import { someIds } from "../model/run-model.js";
import {
  holdSteps,
  type QueuedStep,
  readAll,
  refuseSteps,
  request,
  turns,
  vocabSize,
  watch,
  withScheduler,
} from "../model/scheduling.js";

const prompt = (length: number, seed = 1) => someIds(length, vocabSize, seed);
const codeOf = (sequence: Sequence) =>
  sequence.next().then(
    () => "token",
    (error: { code: string }) => error.code,
  );

/** Runs `body` on a clock that only jest.advanceTimersByTime() moves. */
async function withClock(body: () => Promise<unknown>): Promise<void> {
  jest.useFakeTimers({ doNotFake: ["nextTick", "queueMicrotask", "setImmediate", "clearImmediate"] });
  try {
    await body();
  } finally {
    jest.useRealTimers();
  }
}

test("requests of one turn share every step", async () => {
  await withScheduler({}, async (scheduler, steps) => {
    const sequences = [1, 2, 3, 4, 5, 6, 7, 8].map((seed) =>
      scheduler.submit(request(prompt(20, seed), { maxTokens: 30 })),
    );
    expect((await Promise.all(sequences.map(readAll))).map(({ length }) => length)).toEqual(new Array(8).fill(30));
    expect(steps.map(({ wanted }) => wanted.length)).toEqual(new Array(30).fill(8));
    expect(steps.map(({ rows }) => rows.length)).toEqual([160, ...new Array(29).fill(8)]);
    expect(scheduler.stats()).toMatchObject({ running: 0, waiting: 0, rowsPerStep: (160 + 29 * 8) / 30 });
  });
});

/** Runs `body` where so many short steps are queued ahead, whatever they take here. */
async function withAhead(ahead: number, body: () => Promise<void>): Promise<void> {
  const spy = jest.spyOn(StepTimes.prototype, "ahead", "get").mockReturnValue(ahead);
  try {
    await body();
  } finally {
    spy.mockRestore();
  }
}

test.each([2, 5])("%d steps are in flight while anything is decoded, also as sequences come and go", async (ahead) => {
  const body = async (scheduler: Scheduler, steps: readonly QueuedStep[]) => {
    const reading: Promise<unknown>[] = [];
    const first = scheduler.submit(request(prompt(40), { maxTokens: 150 }));
    for (let i = 0; (await first.next()) !== undefined; i++) {
      if (i % 20 === 5)
        reading.push(readAll(scheduler.submit(request(prompt(30 + i, i), { maxTokens: 1 + (i % 17) }))));
    }
    await Promise.all(reading);
    expect(reading).toHaveLength(8);
    const middle = steps.slice(0, -ahead);
    expect(Math.min(...middle.map(({ inFlight }) => inFlight))).toBe(2);
    expect(Math.max(...middle.map(({ inFlight }) => inFlight))).toBe(ahead);
    const decoding = middle.map(({ rows }) => rows.every(({ position }) => position === undefined));
    for (const [i, { inFlight }] of middle.entries()) {
      // Where nothing but short steps is queued behind it.
      if (decoding.slice(i, i + ahead).every(Boolean)) expect(inFlight).toBe(ahead);
      if (!decoding.slice(i, i + 2).some(Boolean)) expect(inFlight).toBe(2);
    }
    expect(new Set(steps.map(({ rows }) => rows.length)).size).toBeGreaterThan(5);
  };
  await withAhead(ahead, () => withScheduler({}, body));
});

test("who waits for a token does not wait for more than two steps to be queued behind it", async () => {
  await withAhead(50, () =>
    withScheduler({}, async (scheduler, steps) => {
      const sequence = scheduler.submit(request(prompt(9), { maxTokens: 60 }));
      await sequence.next();
      expect(steps.length).toBeLessThanOrEqual(4); // two, and when the first has landed two more
      await readAll(sequence);
      expect(Math.max(...steps.map(({ inFlight }) => inFlight))).toBeGreaterThan(10);
    }),
  );
});

test("steps of the same sequences have one signal, which ends them all", async () => {
  await withAhead(20, () =>
    withScheduler({}, async (scheduler, _, runtime) => {
      const { sample } = runtime;
      const signals: (AbortSignal | undefined)[] = [];
      runtime.sample = (rows, wanted, bests, options) => {
        signals.push(options?.signal);
        return sample.call(runtime, rows, wanted, bests, options);
      };
      const [left, stays] = [1, 2].map((seed) => scheduler.submit(request(prompt(9, seed), { maxTokens: 200 })));
      for (let i = 0; i < 40; i++) await Promise.all([left!.next(), stays!.next()]);
      expect(new Set(signals).size).toBe(1);
      left!.end();
      for (let i = 0; i < 40; i++) await stays!.next();
      expect(new Set(signals).size).toBe(2);
      expect(signals.some((signal) => signal!.aborted)).toBe(false); // all of them are for somebody
      stays!.end();
      expect(signals.at(-1)!.aborted).toBe(true);
    }),
  );
});

test("steps of prompts are two in flight, however short steps are", async () => {
  await withAhead(9, () =>
    withScheduler({ batchSize: 5 }, async (scheduler, steps) => {
      const sequences = [1, 2].map((seed) => scheduler.submit(request(prompt(100, seed), { maxTokens: 1 })));
      await Promise.all(sequences.map(readAll));
      expect(steps).toHaveLength(40);
      expect(new Set(steps.slice(0, -1).map(({ inFlight }) => inFlight))).toEqual(new Set([2]));
    }),
  );
});

test("decoding rows name nothing but their slots", async () => {
  await withScheduler({}, async (scheduler, steps) => {
    await readAll(scheduler.submit(request(prompt(5), { maxTokens: 6 })));
    expect(steps.slice(1).map(({ rows }) => rows)).toEqual(new Array(5).fill([{ slot: 0 }]));
  });
});

test("a prompt has whole steps while nobody decodes, and is bounded between two tokens of a neighbour", async () => {
  const bound = 11;
  const spy = jest.spyOn(StepTimes.prototype, "promptRows").mockReturnValue(bound);
  try {
    await withScheduler({ batchSize: 100 }, async (scheduler, steps) => {
      const neighbour = scheduler.submit(request(prompt(150), { maxTokens: 100 }));
      await neighbour.next();
      const others = [2, 3].map((seed) => scheduler.submit(request(prompt(120, seed), { maxTokens: 3 })));
      await Promise.all([neighbour, ...others].map(readAll));
      const slot = steps[0]!.rows[0]!.slot;
      const own = (rows: (typeof steps)[number]["rows"]) => rows.some((row) => row.slot === slot);
      expect(steps.slice(0, 2).map(({ rows }) => rows.length)).toEqual([100, 50]);
      const promptRows: number[] = []; // between two of its rows
      for (const { rows } of steps.slice(2)) {
        const count = rows.filter(({ position }) => position !== undefined).length;
        if (own(rows)) promptRows.push(count);
        else if (promptRows.length < 99) promptRows[promptRows.length - 1]! += count;
      }
      expect(Math.max(...promptRows)).toBe(bound);
      expect(promptRows.reduce((sum, count) => sum + count, 0)).toBe(240);
    });
  } finally {
    spy.mockRestore();
  }
});

test.each([2, 5])(
  "a sequence runs %d tokens ahead of its reader, sits out steps, and goes on where it was",
  async (ahead) => {
    const body = async (scheduler: Scheduler, steps: readonly QueuedStep[]) => {
      const alone = await readAll(scheduler.submit(request(prompt(9), { maxTokens: 12 })));
      const before = steps.length;
      const slow = scheduler.submit(request(prompt(9), { maxTokens: 12 }));
      const queued = async (count: number) => {
        while (steps.length - before < count) await turns(1);
        await turns(30); // in which no more come
        expect(steps.length - before).toBe(count);
      };
      await queued(ahead);
      const tokens = [await slow.next()];
      await queued(ahead + 1);
      expect(await readAll(scheduler.submit(request(prompt(9), { maxTokens: 12 })))).toEqual(alone); // others pass it
      expect([...tokens, ...(await readAll(slow))]).toEqual(alone);
    };
    await withAhead(ahead, () => withScheduler({}, body));
  },
);

test("steps of logits take turns with the others", async () => {
  await withScheduler({}, async (scheduler, steps) => {
    const sequence = scheduler.submit(request(prompt(9), { maxTokens: 40 }));
    await sequence.next();
    const ids = prompt(250);
    const from = steps.length;
    const scored = scheduler.submit({
      ...request(ids),
      wanted: new Float32Array(ids.length * vocabSize),
    });
    await Promise.all([readAll(sequence), scored.next()]);
    expect(steps.slice(from, from + 7).map(({ kind }) => kind)).toEqual([
      ...["logits", "sample", "logits", "sample", "logits", "sample", "logits"],
    ]);
  });
});

describe("waiting", () => {
  const long = { maxTokens: 100 };

  test("is in order: a small request does not pass a large one that waits for pages", async () => {
    await withScheduler({ cacheTokens: 320 }, async (scheduler) => {
      const order: string[] = [];
      const read = (name: string, sequence: Sequence) => readAll(sequence).then(() => order.push(name));
      const first = scheduler.submit(request(prompt(100), { maxTokens: 30 })); // 3 of 5 pages
      await first.next(); // and no more for now: it does not end
      const large = read("large", scheduler.submit(request(prompt(200, 2), { maxTokens: 1 }))); // 4 pages
      const small = read("small", scheduler.submit(request(prompt(3, 3), { maxTokens: 1 })));
      expect(scheduler.stats()).toMatchObject({ running: 1, waiting: 2, pages: { used: 3 } });
      await Promise.all([read("running", first), large, small]);
      expect(order[0]).toBe("running");
      expect(scheduler.stats()).toMatchObject({ running: 0, waiting: 0, pages: { used: 0 } });
    });
  });

  test("ends with its signal, and who ends early gives slot and pages to the next", async () => {
    await withScheduler({ slots: 1 }, async (scheduler) => {
      const held = scheduler.submit(request(prompt(5), long));
      await held.next();
      const controller = new AbortController();
      const aborted = scheduler.submit(request(prompt(6), long, { signal: controller.signal }));
      const next = scheduler.submit(request(prompt(7), { maxTokens: 2 }));
      controller.abort();
      expect(await codeOf(aborted)).toBe("ERR_ABORTED");
      expect(scheduler.stats()).toMatchObject({ running: 1, waiting: 1 });
      held.end();
      held.end(); // a second time it gives back nothing
      expect(await readAll(next)).toHaveLength(2);
      expect(await codeOf(scheduler.submit(request(prompt(5), long, { signal: AbortSignal.abort() })))).toBe(
        "ERR_ABORTED",
      );
      expect(scheduler.stats()).toMatchObject({ running: 0, waiting: 0, pages: { used: 0 } });
    });
  });

  test("ends with the scheduler, and so does what runs", async () => {
    await withScheduler({ slots: 1 }, async (scheduler) => {
      const [runs, waits] = [scheduler.submit(request(prompt(5), long)), scheduler.submit(request(prompt(5), long))];
      await runs.next();
      scheduler.close();
      expect([await codeOf(runs), await codeOf(waits)]).toEqual(["ERR_DISPOSED", "ERR_DISPOSED"]);
      expect(() => scheduler.submit(request(prompt(5)))).toThrow(expect.objectContaining({ code: "ERR_DISPOSED" }));
    });
  });

  const busy = async (scheduler: Scheduler, names: readonly string[]) => {
    const held = names.map((name, i) => scheduler.submit(request(prompt(5, i), long, { describe: () => name })));
    for (const sequence of held) await sequence.next();
    return held;
  };

  test("is refused where nobody reads what holds the slots, who are named, and harms nobody else", async () => {
    await withScheduler({ slots: 2, slotTimeoutMs: 0 }, async (scheduler) => {
      const [a, b] = await busy(scheduler, ["A", "B"]);
      const waiting = [scheduler.submit(request(prompt(5))), scheduler.submit(request(prompt(5)))];
      for (const each of waiting) {
        await expect(each.next()).rejects.toMatchObject({
          ...{ code: "ERR_BUSY", option: "slots" },
          message: expect.stringMatching(/^all slots are held by A; B, and nobody asks them for the next event/),
        });
      }
      const later = scheduler.submit(request(prompt(5)));
      a!.end();
      expect(await readAll(later)).toHaveLength(10);
      expect(await readAll(b!)).toHaveLength(99);
    });
  });

  test("names the cache where that is what it waits for", async () => {
    await withScheduler({ cacheTokens: 256, slotTimeoutMs: 0 }, async (scheduler) => {
      const [held] = await busy(scheduler, ["A"]);
      await expect(scheduler.submit(request(prompt(200))).next()).rejects.toMatchObject({
        ...{ code: "ERR_BUSY", option: "cacheTokens" },
        message: expect.stringMatching(/^the cache is held by A, and nobody asks it/),
      });
      held!.end();
    });
  });

  test("goes on where somebody reads, or patience has no end", async () => {
    await withScheduler({ slots: 1, slotTimeoutMs: 0 }, async (scheduler) => {
      const read = readAll(scheduler.submit(request(prompt(5), long)));
      expect(await readAll(scheduler.submit(request(prompt(6))))).toHaveLength(10);
      await read;
    });
    await withScheduler({ slots: 1 }, async (scheduler) => {
      const [held] = await busy(scheduler, ["A"]);
      const waiting = scheduler.submit(request(prompt(5)));
      await withClock(async () => {
        await turns(1);
        jest.advanceTimersByTime(1e9);
        await turns(1);
      });
      expect(scheduler.stats()).toMatchObject({ running: 1, waiting: 1 });
      held!.end();
      expect(await readAll(waiting)).toHaveLength(10);
    });
  });

  test("goes on where one of those that hold the slots is read", async () => {
    await withScheduler({ slots: 2, slotTimeoutMs: 1000 }, async (scheduler, _, runtime) => {
      const [left, read] = await busy(scheduler, ["A", "B"]);
      const { signals, open } = holdSteps(runtime);
      const rest = readAll(read!);
      while (signals.length === 0) await turns(1);
      let code: Promise<string> | undefined;
      await withClock(async () => {
        code = codeOf(scheduler.submit(request(prompt(5))));
        await turns(1);
        jest.advanceTimersByTime(1e6);
        await turns(1);
      });
      open();
      expect(await rest).toHaveLength(99);
      expect(await code).toBe("token");
      left!.end();
    });
  });

  test("is as long for each: who joins the line or leaves it does not begin the wait of others anew", async () => {
    await withScheduler({ slots: 1, slotTimeoutMs: 1000 }, async (scheduler) => {
      const [held] = await busy(scheduler, ["A"]);
      const refused: string[] = [];
      await withClock(async () => {
        for (const name of ["first", "second", "third"]) {
          const controller = new AbortController();
          scheduler.submit(request(prompt(5), long, { signal: controller.signal }));
          const sequence = scheduler.submit(request(prompt(5)));
          void codeOf(sequence).then((code) => refused.push(`${name}: ${code}`));
          await turns(1);
          controller.abort();
          await turns(1);
          jest.advanceTimersByTime(400);
          await turns(1);
        }
        expect(refused).toEqual(["first: ERR_BUSY"]);
        jest.advanceTimersByTime(300);
        await turns(1);
        expect(refused).toEqual(["first: ERR_BUSY", "second: ERR_BUSY"]);
        await held!.next(); // a sign of life
        jest.advanceTimersByTime(900);
        await turns(1);
        expect(refused).toHaveLength(2);
        jest.advanceTimersByTime(200);
        await turns(1);
        expect(refused).toEqual(["first: ERR_BUSY", "second: ERR_BUSY", "third: ERR_BUSY"]);
      });
      held!.end();
    });
  });

  test("goes on where what holds the slot is over, and its last step still runs", async () => {
    await withScheduler({ slots: 1, slotTimeoutMs: 0 }, async (scheduler, _, runtime) => {
      const { sample } = runtime;
      const [held] = await busy(scheduler, ["A"]);
      let open = () => {};
      const gate = new Promise<void>((resolve) => {
        open = resolve;
      });
      runtime.sample = async (...step) => {
        const result = await sample.apply(runtime, step);
        await gate;
        return result;
      };
      await held!.next();
      runtime.sample = sample;
      held!.end();
      const waits = readAll(scheduler.submit(request(prompt(5))));
      await withClock(async () => {
        await turns(1);
        jest.advanceTimersByTime(1000);
        await turns(1);
      });
      open();
      expect(await waits).toHaveLength(10);
    });
  });
});

test.each([["ends"], ["fails"]])(
  "slot and pages are given back when the step that names them %s, and not before",
  async (how) => {
    await withScheduler({ slots: 1 }, async (scheduler, _, runtime) => {
      const { sample } = runtime;
      let open = () => {};
      const gate = new Promise<void>((resolve) => {
        open = resolve;
      });
      let computed = 0;
      runtime.sample = async (...step) => {
        const result = await sample.apply(runtime, step);
        computed += 1;
        await gate;
        if (how === "fails") throw new Error("aborted");
        return result;
      };
      const left = scheduler.submit(request(prompt(5)));
      while (computed < 2) await turns(1); // both are in flight, and cannot be cancelled any more
      runtime.sample = sample;
      const next = readAll(scheduler.submit(request(prompt(6), { maxTokens: 3 })));
      left.end();
      await turns(20);
      expect(scheduler.stats()).toMatchObject({ running: 1, waiting: 1, pages: { used: 1 } });
      open();
      expect(await next).toHaveLength(3);
      expect(scheduler.stats()).toMatchObject({ running: 0, waiting: 0, pages: { used: 0 } });
    });
  },
);

test("steps in flight are ended when they are for nobody any more, and not before", async () => {
  await withScheduler({ slots: 2 }, async (scheduler, _, runtime) => {
    const { signals, open } = holdSteps(runtime);
    const sequences = [1, 2].map((seed) => scheduler.submit(request(prompt(5, seed))));
    while (signals.length < 2) await turns(1);
    sequences[0]!.end();
    expect(signals.map(({ aborted }) => aborted)).toEqual([false, false]);
    sequences[1]!.end();
    expect(signals.map(({ aborted }) => aborted)).toEqual([true, true]);
    open();
  });
});

test("a step that is cancelled before it starts leaves no slot to others as it was before", async () => {
  const other = openDevice({ threads: 1 });
  try {
    const [a, b] = [other.allocate("a", "f32", [2048, 4096]), other.allocate("b", "f32", [4096, 4096])];
    const r = new Recorder();
    r.output(r.matmul(a, b));
    const busy = compile(other, r.finish());
    await withScheduler({ slots: 2, batchSize: 1 }, async (scheduler, steps) => {
      const release = new AbortController();
      const held = busy.run({ signal: release.signal }).catch(() => {}); // all devices have one queue: nothing starts meanwhile
      const controller = new AbortController();
      const left = scheduler.submit(request(prompt(1), { maxTokens: 5 }, { signal: controller.signal }));
      const stays = readAll(scheduler.submit(request(prompt(1, 2), { maxTokens: 4 })));
      while (steps.length < 2) await turns(1);
      expect(steps.map(({ rows }) => rows.length)).toEqual([1, 2]); // the prompt of one; its token, and the other's prompt
      controller.abort();
      release.abort();
      await held;
      expect(await codeOf(left)).toBe("ERR_ABORTED");
      const alone = await readAll(scheduler.submit(request(prompt(1, 2), { maxTokens: 4 })));
      expect(await stays).toEqual(alone);
    });
  } finally {
    await other.dispose();
  }
});

test("an error of a callback ends its own sequence", async () => {
  await withScheduler({ batchSize: 4 }, async (scheduler) => {
    const onPromptProgress = () => {
      throw new Error("mine");
    };
    const failing = scheduler.submit(request(prompt(20), {}, { onPromptProgress }));
    const other = scheduler.submit(request(prompt(20, 2)));
    await expect(failing.next()).rejects.toThrow("mine");
    expect(await readAll(other)).toHaveLength(10);
    expect(scheduler.stats()).toMatchObject({ running: 0, pages: { used: 0 } });
  });
});

test("a step that fails ends its sequences, and the next ones go on", async () => {
  await withScheduler({}, async (scheduler, _, runtime) => {
    const { sample } = runtime;
    let fails = false;
    runtime.sample = (...step) => (fails ? Promise.reject(new Error("no memory")) : sample.apply(runtime, step));
    const sequence = scheduler.submit(request(prompt(5), { maxTokens: 50 }));
    await sequence.next();
    fails = true;
    await expect(readAll(sequence)).rejects.toThrow("no memory");
    fails = false;
    watch(runtime);
    expect(await readAll(scheduler.submit(request(prompt(5))))).toHaveLength(10);
    expect(scheduler.stats()).toMatchObject({ running: 0, pages: { used: 0 } });
  });
});

describe.each(["at once", "in turn"] as const)("a step whose memory is refused %s", (when) => {
  const REFUSED = { code: "ERR_OUT_OF_MEMORY" };
  const saysAlone = (seed: number) =>
    withScheduler({}, (scheduler) => readAll(scheduler.submit(request(prompt(20, seed), { maxTokens: 30 }))));

  test("ends who came last; those who decode say what they say alone", async () => {
    const alone = await Promise.all([1, 2].map(saysAlone));
    await withScheduler({}, async (scheduler, _, runtime) => {
      const [a, b] = [1, 2].map((seed) => scheduler.submit(request(prompt(20, seed), { maxTokens: 30 })));
      const first = [await a!.next(), await b!.next()];
      refuseSteps(runtime, (rows) => rows.length > 2, when);
      const late = scheduler.submit(request(prompt(20, 3)));
      const [restA, restB] = await Promise.all([
        readAll(a!),
        readAll(b!),
        expect(late.next()).rejects.toMatchObject(REFUSED),
      ]);
      expect([first[0], ...restA]).toEqual(alone[0]);
      expect([first[1], ...restB]).toEqual(alone[1]);
      expect(scheduler.stats()).toMatchObject({ running: 0, waiting: 0, pages: { used: 0 } });
    });
  });

  test("ends who came last of those whose prompts are in it; the others' are computed anew", async () => {
    const alone = await Promise.all([1, 2].map(saysAlone));
    await withScheduler({}, async (scheduler, _, runtime) => {
      refuseSteps(runtime, (rows) => rows.length > 45, when);
      const sequences = [1, 2, 3].map((seed) => scheduler.submit(request(prompt(20, seed), { maxTokens: 30 })));
      const said = await Promise.allSettled(sequences.map(readAll));
      expect(said.map(({ status }) => status)).toEqual(["fulfilled", "fulfilled", "rejected"]);
      expect(said.slice(0, 2)).toMatchObject(alone.map((value) => ({ value })));
      expect(said[2]).toMatchObject({ reason: REFUSED });
      while (scheduler.stats().running > 0) await turns(1);
    });
  });

  test("as long as it is, ends all, one after another", async () => {
    await withScheduler({}, async (scheduler, _, runtime) => {
      refuseSteps(runtime, () => true, when);
      const sequences = [1, 2, 3].map((seed) => scheduler.submit(request(prompt(20, seed))));
      expect(await Promise.all(sequences.map(codeOf))).toEqual(new Array(3).fill(REFUSED.code));
      while (scheduler.stats().running > 0) await turns(1); // steps that were queued behind it land
      expect(scheduler.stats()).toMatchObject({ running: 0, waiting: 0, pages: { used: 0 } });
    });
  });
});
