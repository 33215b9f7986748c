// Hostile checkpoints: thousands of mutations of valid folders. Each is loaded correctly, every byte of its tensors readable
// through the native module, or refused with a QuipuError; never another exception, a crash or a hang.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Checkpoint, openCheckpoint } from "#quipu/checkpoint/checkpoint.js";
import { openDevice } from "#quipu/device/device.js";
import { isQuipuError } from "#quipu/errors.js";
import { readConfig } from "#quipu/model/config.js";
import { findTensors } from "#quipu/model/tensors.js";
import { loadWeights } from "#quipu/model/weights.js";
import { temporaryFolder, writeCheckpoint } from "../../checkpoint-writer.js";
import { mutateBytes, mutateJson, random } from "./mutate.js";

const CASES = process.env.QUIPU_EXHAUSTIVE ? 1500 : 800;
const root = temporaryFolder();
const device = openDevice({ threads: 1 });
afterAll(() => device.dispose());

/** Reads all bytes of every tensor where native code maps it, and compares them with the file's. */
async function readAll(checkpoint: Checkpoint, map: boolean) {
  for (const [index, { path, size }] of checkpoint.files.entries()) {
    const bytes = readFileSync(path);
    const file = await device.open(path, size, { mmap: map });
    for (const tensor of checkpoint.tensors.values()) {
      if (tensor.file !== index || tensor.bytes === 0) continue;
      const read = new Int8Array(tensor.bytes);
      const view = { file, offset: tensor.offset, dtype: "i8" as const, shape: [tensor.bytes] };
      const [mapped] = device.place(tensor.name, view, ["vector"]);
      await device.run(null, { reads: [[mapped, read]] });
      if (Buffer.compare(Buffer.from(read.buffer), bytes.subarray(tensor.offset, tensor.offset + tensor.bytes)) !== 0)
        throw new Error(`${tensor.name}: other bytes`);
    }
    file.dispose();
  }
}

/** Opens a mutated folder: true when it loaded. */
async function load(dir: string, seed: number): Promise<boolean> {
  try {
    const config = await readConfig(dir);
    const checkpoint = await openCheckpoint(dir);
    await readAll(checkpoint, seed % 2 === 0);
    await findTensors(config, checkpoint, () => {});
    await loadWeights(device, checkpoint, config, { mmap: seed % 2 === 0 });
    return true;
  } catch (error) {
    if (!isQuipuError(error) || error.code === "ERR_INTERNAL")
      throw new Error(`seed ${seed}: ${(error as Error).stack}`);
    if (!/^ERR_MODEL_/.test(error.code)) throw new Error(`seed ${seed}: ${error.code}: ${error.message}`);
    return false;
  }
}

describe.each([
  ["a single file", 1],
  ["three shards", 3],
])("%s", (_, shards) => {
  const dir = join(root, String(shards));
  writeCheckpoint(dir, { shards });
  const originals = new Map(readdirSync(dir).map((name) => [name, readFileSync(join(dir, name))]));
  const restore = (name: string) => writeFileSync(join(dir, name), originals.get(name)!);

  test("whole, it loads", async () => expect(await load(dir, 0)).toBe(true));

  test("with bytes changed", async () => {
    let loaded = 0;
    for (let seed = 1; seed <= CASES; seed++) {
      const names = [...originals.keys()];
      const name = names[random(seed)(names.length)]!;
      const bytes = originals.get(name)!;
      const head = name.endsWith(".safetensors") ? 8 + Number(bytes.readBigUInt64LE()) : bytes.length;
      writeFileSync(join(dir, name), mutateBytes(bytes, seed, head));
      if (await load(dir, seed)) loaded += 1;
      restore(name);
    }
    expect(loaded).toBeLessThan(CASES / 2); // most mutations do harm
  }, 300_000);

  test("with the JSON of headers, index and configuration changed", async () => {
    let loaded = 0;
    for (let seed = 1; seed <= CASES; seed++) {
      const names = [...originals.keys()];
      const name = names[random(seed + 7)(names.length)]!;
      const bytes = originals.get(name)!;
      if (name.endsWith(".safetensors")) {
        const end = 8 + Number(bytes.readBigUInt64LE());
        const header = Buffer.from(JSON.stringify(mutateJson(JSON.parse(bytes.toString("utf8", 8, end)), seed)));
        const length = Buffer.alloc(8);
        length.writeBigUInt64LE(BigInt(header.length));
        writeFileSync(join(dir, name), Buffer.concat([length, header, bytes.subarray(end)]));
      } else {
        writeFileSync(join(dir, name), JSON.stringify(mutateJson(JSON.parse(bytes.toString()), seed)));
      }
      if (await load(dir, seed)) loaded += 1;
      restore(name);
    }
    expect(loaded).toBeLessThan(CASES);
  }, 300_000);
});
