import { openDevice } from "#quipu/device/device.js";
import type { Tensor } from "#quipu/device/tensor.js";
import { planMemory } from "#quipu/graph/passes/plan-memory.js";
import { compile, encode } from "#quipu/graph/program.js";
import { Recorder, type Recording } from "#quipu/graph/recorder.js";

const device = openDevice({ threads: 2 });
afterAll(() => device.dispose());

describe("openDevice", () => {
  test.each([
    [{ device: "cuda" as const }, "ERR_DEVICE_UNAVAILABLE"],
    [{ target: "neon" }, "ERR_DEVICE_UNAVAILABLE"],
    [{ threads: 0 }, "ERR_USAGE"],
    [{ threads: 1.5 }, "ERR_USAGE"],
  ])("%j is %s", (options, code) => {
    expect(() => openDevice(options)).toThrow(expect.objectContaining({ code }));
  });
});

describe("transfers", () => {
  test("what is written can be read, also in part", async () => {
    const tensor = device.allocate("t", "f32", [4]);
    await device.run(null, { writes: [[tensor, Float32Array.of(1, 2, 3, 4)]] });
    const tail = new Float32Array(2);
    await device.run(null, { reads: [[{ ...tensor, offset: 8, shape: [2] }, tail]] });
    expect([...tail]).toEqual([3, 4]);
  });

  test("nothing can be transferred, too", async () => {
    const tensor = device.allocate("t", "i32", [0, 4], 7);
    const [nothing, read] = [new Int32Array(0), new Int32Array(0)];
    await device.run(null, { writes: [[tensor, nothing]], reads: [[tensor, read]] });
    expect(read).toHaveLength(0);
  });

  test("index contents keep to their bound", async () => {
    const ids = device.allocate("ids", "i32", [3], 5);
    await device.run(null, { writes: [[ids, Int32Array.of(-1, 0, 4)]] });
    for (const wrong of [5, -2, 2 ** 31 - 1]) {
      await expect(device.run(null, { writes: [[ids, Int32Array.of(0, wrong, 0)]] })).rejects.toMatchObject({
        code: "ERR_INTERNAL",
        message: expect.stringContaining(`index ${wrong}`),
      });
    }
    const kept = new Int32Array(3);
    await device.run(null, { reads: [[ids, kept]] });
    expect([...kept]).toEqual([-1, 0, 4]);
  });

  test("a transfer larger than its tensor is refused", async () => {
    const tensor = device.allocate("t", "f32", [4]);
    await expect(device.run(null, { writes: [[tensor, new Float32Array(5)]] })).rejects.toMatchObject({
      code: "ERR_INTERNAL",
    });
    await expect(
      device.run(null, { reads: [[{ ...tensor, shape: [50] }, new Float32Array(50)]] }),
    ).rejects.toMatchObject({
      code: "ERR_INTERNAL",
    });
  });
});

describe("a program that lies is refused", () => {
  const x = device.allocate("x", "f32", [4, 32]);
  const w = device.allocate("w", "f32", [32]);
  const plan = (recording: Recording, places: Map<number, Tensor>) => encode(recording, planMemory(recording), places);

  function recorded() {
    const r = new Recorder();
    const y = r.rmsNorm(r.add(r.gatherRows(x, ids), r.gatherRows(x, ids)), w, 1e-5);
    const out = device.allocate("out", "f32", [4, 32]);
    r.output(y);
    return plan(r.finish(), new Map([[y.id, out]]));
  }
  const ids = device.allocate("ids", "i32", [4], 4);

  test("every single word of the stream changed: refused, or harmless", async () => {
    // The stream of an honest program with one word replaced: native code must refuse it or run it without leaving its
    // memory (which the same test shows under AddressSanitizer).
    const { stream, buffers } = recorded();
    const honest = device.load(stream, buffers);
    await device.run(honest);
    let refused = 0;
    for (let word = 0; word < stream.length; word++) {
      for (const value of [0, 1, 5, 64, 2 ** 31, 2 ** 32 - 1, (stream[word]! + 1) >>> 0, (stream[word]! ^ 4) >>> 0]) {
        const changed = stream.slice();
        changed[word] = value;
        try {
          await device.run(device.load(changed, buffers));
        } catch (error) {
          expect(error).toMatchObject({ code: expect.stringMatching(/^ERR_(INTERNAL|OUT_OF_MEMORY)$/) });
          refused += 1;
        }
      }
    }
    expect(refused).toBeGreaterThan(stream.length * 4);
  }, 120_000);

  test("a stream that is cut short", () => {
    const { stream, buffers } = recorded();
    for (let length = 0; length < stream.length; length++) {
      expect(() => device.load(stream.slice(0, length), buffers)).toThrow(
        expect.objectContaining({ code: "ERR_INTERNAL" }),
      );
    }
  });

  test("writing to a weight, or index operands without enough bound", () => {
    const r = new Recorder();
    const k = r.gatherRows(device.allocate("k", "f32", [4, 32]), ids);
    const keys = device.allocate("keys", "f32", [2, 2, 16, 64]);
    const values = device.allocate("values", "f32", [2, 2, 64, 16]);
    const rows = (slotBound: number, positionBound: number, pageBound: number) => ({
      slots: device.allocate("slots", "i32", [4], slotBound),
      positions: device.allocate("positions", "i32", [4], positionBound),
      pageTable: device.allocate("pageTable", "i32", [1, 2], pageBound),
    });
    for (const wrong of [rows(2, 128, 2), rows(1, 129, 2), rows(1, 128, 3)]) {
      const recorder = new Recorder();
      const kk = recorder.gatherRows(k.tensor ?? x, ids);
      expect(() => recorder.appendKv(kk, kk, { keys, values }, wrong)).toThrow(/is beyond what it indexes/);
    }
    const honest = new Recorder();
    const kk = honest.gatherRows(x, ids);
    honest.appendKv(kk, kk, { keys, values }, rows(1, 128, 2));
    compile(device, honest.finish()).dispose();
  });
});
