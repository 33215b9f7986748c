import { type Device, type DeviceOptions, openDevice, type Transfer } from "#quipu/device/device.js";
import type { DType, Tensor } from "#quipu/device/tensor.js";
import { SAMPLE_FLOATS, SAMPLE_INTS } from "#quipu/graph/ops.js";
import { planMemory } from "#quipu/graph/passes/plan-memory.js";
import { compile, encode } from "#quipu/graph/program.js";
import { Recorder } from "#quipu/graph/recorder.js";
import type { Recording } from "#quipu/graph/recording.js";

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

  test("empty transfers are allowed", async () => {
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

  test("an array holds elements of the tensor's type", async () => {
    const arrays = { f32: Float32Array, f16: Uint16Array, bf16: Uint16Array, i32: Int32Array, i8: Int8Array } as const;
    const all = [...Object.values(arrays), Uint8Array, Uint32Array];
    for (const [dtype, right] of Object.entries(arrays)) {
      const tensor = device.allocate("t", dtype as DType, [8]);
      for (const type of new Set(all)) {
        for (const direction of ["writes", "reads"] as const) {
          const run = device.run(null, { [direction]: [[tensor, new type(1)]] });
          if (type === right) await run;
          else {
            await expect(run).rejects.toMatchObject({
              code: "ERR_INTERNAL",
              message: `t: a transfer of ${dtype} takes ${right.name}, got ${type.name}`,
            });
          }
        }
      }
      device.free(tensor);
    }
  });
});

describe.each<DeviceOptions>([{ threads: 2 }, { device: "reference" }])("what belongs to a device: %j", (options) => {
  const own = openDevice(options);
  const other = openDevice({ threads: 1 });
  const reference = openDevice({ device: "reference" });
  afterAll(() => Promise.all([own, other, reference].map((each) => each.dispose())));
  const FOREIGN = { code: "ERR_INTERNAL", message: "a buffer or program of another device" };

  function doubled(on: Device) {
    const x = on.allocate("x", "f32", [1, 4]);
    const r = new Recorder();
    const sum = r.output(r.add(r.input(x), r.input(x)));
    return { x, sum, recording: r.finish() };
  }

  test("its memory and programs are refused by others", async () => {
    const { x, recording } = doubled(own);
    const program = compile(own, recording);
    for (const stranger of [other, reference]) {
      const theirs = stranger.allocate("theirs", "f32", [1, 4]);
      for (const direction of ["writes", "reads"] as const) {
        await expect(stranger.run(null, { [direction]: [[x, new Float32Array(4)]] })).rejects.toMatchObject(FOREIGN);
        await expect(own.run(null, { [direction]: [[theirs, new Float32Array(4)]] })).rejects.toMatchObject(FOREIGN);
      }
      expect(() => compile(stranger, recording)).toThrow(expect.objectContaining(FOREIGN));
      const { stream, buffers } = encode(recording, planMemory(recording), new Map([[recording.outputs[0]!.id, x]]));
      const loaded = own.load(stream, buffers);
      await expect(stranger.run(loaded)).rejects.toMatchObject(FOREIGN);
      loaded.dispose();
      stranger.free(theirs);
    }
    program.dispose();
    own.free(x);
  });

  test("memory() is what is allocated and not given back, once", async () => {
    const before = own.memory().state;
    const [a, b] = [own.allocate("a", "f32", [100]), own.allocate("b", "i8", [7])];
    expect(own.memory().state - before).toBe(407);
    own.free(a);
    own.free(a);
    expect(own.memory().state - before).toBe(7);
    own.free(b);
    expect(own.memory().state).toBe(before);
  });

  test("a program that is disposed of gives back its outputs at once, and its arena before the next run", async () => {
    const before = own.memory();
    const table = own.allocate("table", "f32", [64, 1024]);
    const ids = own.allocate("ids", "i32", [64]);
    const program = (rows: number) => {
      const r = new Recorder();
      const x = r.gatherRows(table, { ...ids, shape: [rows] });
      r.output(r.add(r.add(x, x), x));
      return compile(own, r.finish());
    };
    const [small, large] = [program(1), program(64)];
    await small.run();
    const one = own.memory();
    await large.run();
    const both = own.memory();
    expect(both.arena - one.arena).toBeGreaterThanOrEqual(63 * 4096);
    large.dispose();
    expect(both.state - own.memory().state).toBe(64 * 4096);
    await own.run(null);
    expect(own.memory().arena).toBeLessThanOrEqual(one.arena);
    await small.run(); // in what is left
    small.dispose();
    for (const tensor of [table, ids]) own.free(tensor);
    await own.run(null);
    expect(own.memory()).toEqual(before);
  });

  test("ops behind one that fails do nothing; told apart by row, the row that fails ends and the others go on", async () => {
    const state = (name: string, shape: number[], bound: number) => own.allocate(name, "i32", shape, bound);
    const index = { outputRows: state("outputRows", [2], 2), slots: state("slots", [2], 2) };
    const positions = state("positions", [2], 8);
    const [nextPositions, history] = [state("nextPositions", [2], 8), state("history", [2, 8], 3)];
    const lastIds = own.allocate("lastIds", "i32", [2]);
    const biasIds = state("biasIds", [2, 1], 3);
    const floats = own.allocate("floats", "f32", [2, SAMPLE_FLOATS.length]);
    const ints = own.allocate("ints", "i32", [2, SAMPLE_INTS.length]);
    const biases = own.allocate("biases", "f32", [2, 1]);
    const stops = own.allocate("stops", "i32", [2, 1]);
    const logits = own.allocate("logits", "f32", [2, 3]);
    const r = new Recorder();
    const { ids: sampled } = r.sample(
      r.input(logits),
      { ...index, positions, history, floats, ints, biasIds, biases },
      1,
    );
    r.output(sampled);
    r.advance(sampled, { ...index, positions, stops, lastIds, nextPositions, history });
    const program = compile(own, r.finish());
    const settings = [0, 1, 0, 1, 0, 0]; // temperature 0, top-p 1, min-p 0, penalties 1, 0, 0
    const writes: Transfer[] = [
      [index.outputRows, Int32Array.of(0, 1)],
      [index.slots, Int32Array.of(0, 1)],
      [positions, Int32Array.of(2, 3)],
      [nextPositions, Int32Array.of(2, 3)],
      [lastIds, Int32Array.of(0, 0)],
      [biasIds, Int32Array.of(-1, -1)],
      [stops, Int32Array.of(-1, -1)],
      [floats, Float32Array.from([...settings, ...settings])],
      [logits, Float32Array.of(Number.NaN, 0, 0, 0, 1, 0)],
    ];
    const look = async () => {
      const read = [nextPositions, lastIds].map((tensor) => [tensor, new Int32Array(2)] as const);
      await own.run(null, { reads: read });
      return read.map(([, array]) => [...array]);
    };
    await expect(program.run({ writes })).rejects.toMatchObject({
      code: "ERR_NOT_A_NUMBER",
      message: expect.stringMatching(/sample, row 0/),
    });
    const untouched = [
      [2, 3],
      [0, 0],
    ];
    expect(await look()).toEqual(untouched);
    const { failures } = await program.run({ byRow: true });
    expect(failures.map(({ row, error }) => [row, error.code])).toEqual([[0, "ERR_NOT_A_NUMBER"]]);
    expect(await look()).toEqual([
      [-1, 4],
      [0, 1],
    ]);
    await own.run(null, { writes: [[index.slots, Int32Array.of(-1, 1)]] });
    expect((await program.run({ byRow: true })).failures).toEqual([]); // the row that failed is padding now
    // A run whose rows fail alone is none that fails: what is asked for next fails as a whole again.
    await own.run(null, { writes: [[index.slots, Int32Array.of(0, 1)]] });
    await expect(program.run()).rejects.toMatchObject({ code: "ERR_NOT_A_NUMBER" });
    program.dispose();
    const all = [
      ...Object.values(index),
      positions,
      nextPositions,
      lastIds,
      history,
      biasIds,
      floats,
      ints,
      biases,
      stops,
      logits,
    ];
    for (const tensor of all) own.free(tensor);
  });

  test("memory that a program names stays until that goes", async () => {
    const { x, sum, recording } = doubled(own);
    await own.run(null, { writes: [[x, Float32Array.of(1, 2, 3, 4)]] });
    const program = compile(own, recording);
    const before = own.memory().state;
    own.free(x);
    expect(own.memory().state).toBe(before);
    const read = new Float32Array(4);
    await program.run({ reads: [[program.output(sum), read]] });
    expect([...read]).toEqual([2, 4, 6, 8]);
    program.dispose();
    expect(before - own.memory().state).toBe(2 * 16);
    await expect(own.run(null, { reads: [[x, read]] })).rejects.toMatchObject({ code: "ERR_DISPOSED" });
    await expect(program.run()).rejects.toMatchObject({ code: "ERR_DISPOSED" });
  });

  test("a device that is disposed of takes along what it has made, whoever holds it", async () => {
    const closed = openDevice(options);
    const { x, recording } = doubled(closed);
    const program = compile(closed, recording);
    await program.run();
    await closed.dispose();
    expect(closed.memory()).toEqual({ state: 0, arena: 0 });
    closed.free(x);
    program.dispose();
    await closed.dispose();
    expect(() => closed.allocate("late", "f32", [1])).toThrow(expect.objectContaining({ code: "ERR_DISPOSED" }));
    await expect(own.run(null, { reads: [[x, new Float32Array(1)]] })).rejects.toMatchObject({ code: "ERR_DISPOSED" });
  });

  test("runs that are queued together end in order, whole or not", async () => {
    const { x, sum, recording } = doubled(own);
    const program = compile(own, recording);
    const reads = Array.from({ length: 12 }, () => new Float32Array(4));
    const ended: number[] = [];
    const slow = new Recorder(); // a tenth of a second and more, so that what comes behind waits while all of it is queued
    const [a, b] = [own.allocate("a", "f32", [16, 1024]), own.allocate("b", "f32", [8192, 1024])];
    const products = options.device === "reference" ? 1 : 64;
    for (let i = 0; i < products; i++) slow.output(slow.matmul(a, b));
    const before = compile(own, slow.finish());
    const first = before.run();
    const codes = await Promise.all(
      reads.map((read, i) => {
        const controller = new AbortController();
        const run = program.run({
          writes: [[x, new Float32Array(4).fill(i)]],
          reads: [[program.output(sum), read]],
          signal: controller.signal,
        });
        if (i % 4 === 3) controller.abort();
        return run.then(
          () => {
            ended.push(i);
            return "done";
          },
          (error) => error.code,
        );
      }),
    );
    reads.forEach((read, i) => {
      if (i % 4 === 3 && codes[i] === "ERR_ABORTED") expect([...read]).toEqual([0, 0, 0, 0]);
      else expect([codes[i], ...read]).toEqual(["done", 2 * i, 2 * i, 2 * i, 2 * i]);
    });
    expect(ended).toEqual([...ended].sort((a, b) => a - b));
    expect(codes.filter((code) => code === "ERR_ABORTED").length).toBeGreaterThan(0);
    await first;
    for (const each of [program, before]) each.dispose();
    for (const tensor of [x, a, b]) own.free(tensor);
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
