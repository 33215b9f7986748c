// Steps that do not run, as their memory is refused or they are cancelled before their turn, leave nothing that others would take
// for theirs.
import { Device } from "#quipu/device/device.js";
import { QuipuError } from "#quipu/errors.js";
import { compile } from "#quipu/graph/program.js";
import { Recorder } from "#quipu/graph/recorder.js";
import { chooseTarget } from "#quipu/machine/machine.js";
import type { Runtime, SampledRow } from "#quipu/model/runtime.js";
import { rows, someIds, withRuntime } from "./run-model.js";
import { folder, PLAIN, vocabSize } from "./scheduling.js";

const withOneSlot = <T>(body: (runtime: Runtime) => Promise<T>) =>
  withRuntime(folder, { threads: 1, slots: 1, contextLength: 64 }, body);
const prompt = someIds(5, vocabSize);
const begins = (runtime: Runtime) =>
  runtime.begin(0, Int32Array.of(0), { settings: PLAIN.settings, prompt, stopIds: [] });
const TOKEN = { id: expect.any(Number) };

test("a slot holds nothing of the sequence before, also where the first step of the next has no program", async () => {
  await withOneSlot(async (runtime) => {
    const { device } = runtime;
    const next = async () => (await runtime.sample([{ slot: 0 }], [0], [0])).sampled[0];
    await runtime.sample(rows(prompt), [4], [0], { writes: begins(runtime) });
    expect(await next()).toMatchObject(TOKEN);
    const { allocate } = device;
    device.allocate = () => {
      throw new QuipuError("ERR_OUT_OF_MEMORY", "refused");
    };
    const refused = runtime.sample(rows(prompt), [4], [25], { writes: begins(runtime) }); // of another number of alternatives
    device.allocate = allocate;
    const behind = next(); // queued before the error is heard of
    await expect(refused).rejects.toMatchObject({ code: "ERR_OUT_OF_MEMORY" });
    expect(await behind).toBe("ended");
    const { sampled } = await runtime.sample(rows(prompt), [4], [25], { writes: begins(runtime) });
    expect(sampled[0]).toMatchObject(TOKEN);
  });
});

/** Runs `body` while nothing starts on any device, until it says so. */
async function withHeldQueue(body: (release: () => Promise<void>) => Promise<void>): Promise<void> {
  const other = new Device("cpu", chooseTarget(), 1);
  try {
    const [a, b] = [other.allocate("a", "f32", [2048, 4096]), other.allocate("b", "f32", [4096, 4096])];
    const r = new Recorder();
    r.output(r.matmul(a, b));
    const controller = new AbortController();
    const held = compile(other, r.finish()) // all devices have one queue
      .run({ signal: controller.signal })
      .catch(() => {});
    await body(async () => {
      controller.abort();
      await held;
    });
  } finally {
    await other.dispose();
  }
}

test("the step behind one that was cancelled before its turn writes its rows, though they are the same", async () => {
  await withOneSlot(async (runtime) => {
    const sample = (ids: Int32Array, signal?: AbortSignal) =>
      runtime.sample(rows(ids), [4], [0], { writes: begins(runtime), ...(signal && { signal }) });
    const expected = await sample(prompt);
    await sample(someIds(5, vocabSize, 2));
    await withHeldQueue(async (release) => {
      const controller = new AbortController();
      const cancelled = sample(prompt, controller.signal).catch((error: QuipuError) => error.code);
      controller.abort();
      const behind = sample(prompt);
      await release();
      expect(await cancelled).toBe("ERR_ABORTED");
      expect((await behind).sampled).toEqual(expected.sampled);
    });
  });
});

test("a step that was cancelled before its turn takes no row along that one behind it has too", async () => {
  const ids = async (lost: boolean): Promise<SampledRow[]> => {
    let after: SampledRow[] = [];
    await withRuntime(folder, { threads: 1, slots: 3, contextLength: 64 }, async (runtime) => {
      for (const slot of [0, 1, 2]) {
        const writes = runtime.begin(slot, Int32Array.of(slot), { settings: PLAIN.settings, prompt, stopIds: [] });
        await runtime.sample(rows(prompt, slot), [4], [0], { writes });
      }
      const others = rows(prompt, 2); // of a prompt that is computed beside, and again for who comes next
      await runtime.sample([{ slot: 0 }, ...others], [0], [0]);
      if (lost) {
        await withHeldQueue(async (release) => {
          const controller = new AbortController();
          const cancelled = runtime.sample([{ slot: 1 }], [0], [0], { signal: controller.signal }).catch(() => {});
          const behind = runtime.sample([{ slot: 1 }, ...others], [0], [0]); // queued while nothing is lost
          controller.abort();
          await release();
          await Promise.all([cancelled, behind]);
        });
      }
      after = [...(await runtime.sample([{ slot: 0 }], [0], [0])).sampled];
    });
    return after;
  };
  expect(await ids(true)).toEqual(await ids(false)); // slot 0, which was in none of them, has gone no further
});
