// Steps that do not run, as their memory is refused or they are cancelled before their turn, leave nothing that others would take
// for theirs.
import { Device } from "#quipu/device/device.js";
import { QuipuError } from "#quipu/errors.js";
import { compile } from "#quipu/graph/program.js";
import { Recorder } from "#quipu/graph/recorder.js";
import { chooseTarget } from "#quipu/machine/machine.js";
import type { Runtime } from "#quipu/model/runtime.js";
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

test("the step behind one that was cancelled before its turn writes its rows, though they are the same", async () => {
  const other = new Device("cpu", chooseTarget(), 1);
  try {
    const [a, b] = [other.allocate("a", "f32", [2048, 4096]), other.allocate("b", "f32", [4096, 4096])];
    const r = new Recorder();
    r.output(r.matmul(a, b));
    const busy = compile(other, r.finish());
    await withOneSlot(async (runtime) => {
      const sample = (ids: Int32Array, signal?: AbortSignal) =>
        runtime.sample(rows(ids), [4], [0], { writes: begins(runtime), ...(signal && { signal }) });
      const expected = await sample(prompt);
      await sample(someIds(5, vocabSize, 2));
      const [release, controller] = [new AbortController(), new AbortController()];
      const held = busy.run({ signal: release.signal }).catch(() => {}); // all devices have one queue: nothing starts meanwhile
      const cancelled = sample(prompt, controller.signal).catch((error: QuipuError) => error.code);
      controller.abort();
      const behind = sample(prompt);
      release.abort();
      await held;
      expect(await cancelled).toBe("ERR_ABORTED");
      expect((await behind).sampled).toEqual(expected.sampled);
    });
  } finally {
    await other.dispose();
  }
});
