import { openDevice } from "#quipu/device/device.js";
import type { Tensor } from "#quipu/device/tensor.js";
import { planMemory } from "#quipu/graph/passes/plan-memory.js";
import { compile, encode } from "#quipu/graph/program.js";
import { Recorder } from "#quipu/graph/recorder.js";
import { Recording, type Value } from "#quipu/graph/recording.js";

const device = openDevice({ threads: 1 });
afterAll(() => device.dispose());

const x = device.allocate("x", "f32", [2, 3]);
const y = device.allocate("y", "f32", [2, 3]);
const contents = Float32Array.of(1, 2, 3, 4, 5, 6);
beforeAll(() =>
  device.run(null, {
    writes: [
      [x, contents],
      [y, contents],
    ],
  }),
);

/** x + y and (x + y) + y, as outputs. */
function sums(): { recorder: Recorder; once: Value; twice: Value } {
  const recorder = new Recorder();
  const once = recorder.output(recorder.add(recorder.input(x), recorder.input(y)));
  const twice = recorder.output(recorder.add(once, recorder.input(y)));
  return { recorder, once, twice };
}

const read = async (tensor: Tensor) => {
  const data = new Float32Array(6);
  await device.run(null, { reads: [[tensor, data]] });
  return [...data];
};

describe("encode", () => {
  const tensors = (stream: Uint32Array) => stream[6];

  test("every place is named once: versions of a state, and an output that is read", () => {
    const { recorder, once, twice } = sums();
    recorder.add(recorder.add(once, twice), recorder.input(x));
    const recording = recorder.finish();
    const places = new Map([once, twice].map((value) => [value.id, device.allocate("out", "f32", [2, 3])]));
    const { stream, buffers } = encode(recording, planMemory(recording), places);
    expect(tensors(stream)).toBe(6); // x, y, two outputs, two values of the arena
    expect(buffers).toHaveLength(4);
    for (const place of places.values()) device.free(place);
  });

  test("places beyond 2³² bytes are two words each: of state, of values and the arena's size", () => {
    const far = { ...x, offset: 3 * 2 ** 32 + 64 };
    const recorder = new Recorder();
    const sum = recorder.add(recorder.input(far), recorder.input(y));
    recorder.output(recorder.add(sum, recorder.input(y)));
    const recording = recorder.finish();
    const plan = { offsets: new Map([[sum.id, 5 * 2 ** 32 + 128]]), arenaBytes: 7 * 2 ** 32 + 256 };
    const { stream } = encode(recording, plan, new Map(recording.outputs.map(({ id }) => [id, y])));
    expect([...stream.subarray(2, 4)]).toEqual([256, 7]);
    const offsets = Array.from({ length: tensors(stream)! }, (_, i) => [
      ...stream.subarray(8 + 10 * i + 1, 8 + 10 * i + 3),
    ]);
    expect(offsets).toEqual([
      [64, 3],
      [0, 0],
      [128, 5],
    ]);
  });

  test("8,000 ops take under 100 ms", () => {
    const recorder = new Recorder();
    let value = recorder.add(recorder.input(x), recorder.input(y));
    for (let i = 0; i < 8000; i++) value = recorder.add(value, recorder.input(i % 2 ? x : y));
    recorder.output(value);
    const recording = recorder.finish();
    const plan = planMemory(recording);
    const times = Array.from({ length: 5 }, () => {
      const before = process.cpuUsage();
      encode(recording, plan, new Map([[value.id, x]]));
      return process.cpuUsage(before).user / 1000;
    });
    expect(Math.min(...times)).toBeLessThan(100);
  });
});

describe("compile", () => {
  test("outputs get memory that goes with the program", async () => {
    const { recorder, once, twice } = sums();
    const before = device.memory().state;
    const program = compile(device, recorder.finish());
    await program.run();
    expect(await read(program.output(once))).toEqual([2, 4, 6, 8, 10, 12]);
    expect(await read(program.output(twice))).toEqual([3, 6, 9, 12, 15, 18]);
    program.dispose();
    expect(device.memory().state).toBe(before);
  });

  test("the caller may say where outputs lie, and keeps that memory", async () => {
    const { recorder, once, twice } = sums();
    const place = device.allocate("place", "f32", [2, 3]);
    const before = device.memory().state;
    const program = compile(device, recorder.finish(), { places: new Map([[twice, place]]) });
    expect(program.output(twice)).toBe(place);
    expect(program.output(once)).not.toBe(place);
    await program.run();
    program.dispose();
    expect(device.memory().state).toBe(before);
    expect(await read(place)).toEqual([3, 6, 9, 12, 15, 18]);
    device.free(place);
  });

  test.each<[string, (value: { once: Value; twice: Value; place: Tensor; sum: Value }) => [Value, Tensor][], RegExp]>([
    [
      "a place of another shape",
      ({ once, place }) => [[once, { ...place, shape: [3, 2] }]],
      /expected a place of f32 \[2, 3\]/,
    ],
    ["a place of another dtype", ({ once, place }) => [[once, { ...place, dtype: "i32" }]], /expected a place of f32/],
    ["a place where state is read", ({ once }) => [[once, { ...y, offset: 0 }]], /y lies where y does/],
    [
      "one place for two",
      ({ once, twice, place }) => [
        [once, place],
        [twice, { ...place }],
      ],
      /place lies where place does/,
    ],
    ["a place for what is no output", ({ sum, place }) => [[sum, place]], /is no output/],
  ])("refuses %s, and keeps no memory", (_, placesOf, message) => {
    const { recorder, once, twice } = sums();
    const sum = recorder.add(once, twice);
    const place = device.allocate("place", "f32", [2, 3]);
    const before = device.memory().state;
    const places = new Map(placesOf({ once, twice, place, sum }));
    expect(() => compile(device, recorder.finish(), { places })).toThrow(message);
    expect(device.memory().state).toBe(before);
    device.free(place);
  });

  test("passes rewrite in their order, and outputs are asked for as they were recorded", async () => {
    const { recorder, once, twice } = sums();
    const seen: string[] = [];
    const pass = (name: string) => (recording: Recording) => {
      seen.push(name);
      return new Recording(recording.ops, recording.outputs, recording.capacity);
    };
    const program = compile(device, recorder.finish(), { passes: [pass("first"), pass("second")] });
    expect(seen).toEqual(["first", "second"]);
    await program.run();
    expect(await read(program.output(twice))).toEqual([3, 6, 9, 12, 15, 18]);
    program.dispose();
    const drops = (recording: Recording) => new Recording(recording.ops, [twice], recording.capacity);
    expect(() => compile(device, recorder.finish(), { passes: [drops] })).toThrow(
      /a pass has changed how many outputs/,
    );
    const other = ({ ops, capacity }: Recording) => new Recording(ops, [{ ...once, shape: [3, 2] }, twice], capacity);
    expect(() => compile(device, recorder.finish(), { passes: [other] })).toThrow(/a pass has changed output 0/);
  });

  test("without passes of the caller's, those of the device are made", () => {
    const countOps = (fuse: boolean) => {
      const own = openDevice({ threads: 1, fuse });
      let ops = 0;
      own.load = (stream) => {
        ops = stream[7]!;
        return { dispose() {} };
      };
      const recorder = new Recorder();
      const residual = recorder.input(x);
      recorder.output(recorder.add(residual, recorder.matmul(residual, { ...y, shape: [3, 3] })));
      compile(own, recorder.finish());
      return ops;
    };
    expect([true, false].map(countOps)).toEqual([1, 2]);
  });

  test("memory of outputs is given back where the device refuses the program", () => {
    const recorder = new Recorder();
    const wrong = { ...x, buffer: y.buffer, offset: 2 }; // not aligned
    recorder.output(recorder.add(recorder.input(wrong), recorder.input(y)));
    const before = device.memory().state;
    expect(() => compile(device, recorder.finish())).toThrow(/aligned|outside|tensor/);
    expect(device.memory().state).toBe(before);
  });
});
