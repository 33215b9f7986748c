// What loadWeights packs, slice by slice, is what docs/numerics.md says of each row, however it comes: packed or found packed.
import { join } from "node:path";
import { openCheckpoint } from "#quipu/checkpoint/checkpoint.js";
import { openDevice } from "#quipu/device/device.js";
import { compile } from "#quipu/graph/program.js";
import { Recorder } from "#quipu/graph/recorder.js";
import { cachedFiles } from "#quipu/machine/cache-folder.js";
import { readConfig } from "#quipu/model/config.js";
import { disposeWeights, loadWeights } from "#quipu/model/weights.js";
import { temporaryFolder } from "../checkpoint-writer.js";
import { packedRows } from "../kernels/packed-definition.js";
import { worthKeepingTensors, writeWorthKeeping } from "../packed-cache.js";

const temporary = temporaryFolder();
const dir = writeWorthKeeping(join(temporary, "model"));
const kept = process.env.QUIPU_CACHE;
beforeAll(() => {
  process.env.QUIPU_CACHE = join(temporary, "cache");
});
afterAll(() => {
  process.env.QUIPU_CACHE = kept;
});

test("rows of every slice, packed into memory, into a file, and found there", async () => {
  const { data, shape } = worthKeepingTensors()["model.layers.2.mlp.up_proj.weight"]!;
  const [rows, columns] = shape as [number, number];
  const stored = new Float32Array(data.buffer, data.byteOffset, rows * columns);
  const some = [0, 15, 1023, 1024, 2047, 2048, rows - 1];
  const expected = some.map(
    (row) => packedRows("q8", stored.slice(row * columns, (row + 1) * columns), 1, columns).values,
  );
  const config = await readConfig(dir);
  const written: string[] = [];
  for (const cache of [false, true, true]) {
    const device = openDevice({ threads: 2 });
    const onCacheWrite = (path: string) => written.push(path);
    const { weights } = await loadWeights(device, await openCheckpoint(dir), config, {
      mmap: true,
      quantize: "q8",
      cache,
      onCacheWrite,
    });
    const ids = device.allocate("ids", "i32", [some.length], rows);
    const r = new Recorder();
    const gathered = r.gatherRows(weights.layers[2]!.upProj, ids);
    r.output(gathered);
    const out = device.allocate("out", "f32", [some.length, columns]);
    const program = compile(device, r.finish(), { places: new Map([[gathered, out]]) });
    const read = new Float32Array(some.length * columns);
    await program.run({ writes: [[ids, Int32Array.from(some)]], reads: [[out, read]] });
    expect(read).toEqual(Float32Array.from(expected.flatMap((row) => [...row])));
    program.dispose();
    disposeWeights(device, weights);
    await device.dispose();
  }
  expect(written).toHaveLength(1);
});

test("what another layout of the device made is replaced, and does not stay beside what is used", async () => {
  process.env.QUIPU_CACHE = join(temporary, "layouts");
  const config = await readConfig(dir);
  const written: string[] = [];
  for (const layout of [1, 2, 2, 1]) {
    const device = openDevice({ threads: 2 });
    Object.assign(device, { packedLayout: layout });
    const onCacheWrite = (path: string) => written.push(path);
    const options = { mmap: true, quantize: "q8", cache: true, onCacheWrite } as const;
    const { weights } = await loadWeights(device, await openCheckpoint(dir), config, options);
    disposeWeights(device, weights);
    await device.dispose();
  }
  const [path] = written;
  expect(written).toEqual([path, path, path]);
  expect(cachedFiles().map((file) => file.path)).toEqual([path]);
});
