// Weights that are packed at load and kept: written once, used while they are whole and of these very files, made anew where not,
// and never in the way of a load.
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { type LoadOptions, loadModel } from "#quipu/index.js";
import { PreparedFile } from "#quipu/machine/prepared-file.js";
import { temporaryFolder } from "../checkpoint-writer.js";
import { loadTiny } from "../model/reference.js";
import { OPTIONS, PRELUDE, writeWorthKeeping } from "../packed-cache.js";
import { describeWhere } from "../where.js";

const temporary = temporaryFolder();
const dir = writeWorthKeeping(join(temporary, "model"));
const kept = process.env.QUIPU_CACHE;
let cache: string;
let folders = 0;

beforeEach(() => {
  cache = join(temporary, `cache-${folders++}`);
  process.env.QUIPU_CACHE = cache;
});
afterAll(() => {
  process.env.QUIPU_CACHE = kept;
});

const weights = () => join(cache, "weights");
const names = () => (existsSync(weights()) ? readdirSync(weights()) : []);
const only = () => {
  expect(names()).toEqual([expect.stringMatching(/^[0-9a-f]{32}\.packed$/)]);
  return join(weights(), names()[0]!);
};

interface Loaded {
  readonly logits: Float32Array;
  readonly written: [path: string, bytes: number][];
  readonly warnings: [code: string, message: string][];
  readonly stats: object;
}

async function load(options: LoadOptions = {}, from = dir): Promise<Loaded> {
  const written: [string, number][] = [];
  const model = await loadModel(from, { ...OPTIONS, onCacheWrite: (...what) => written.push(what), ...options });
  try {
    const logits = await model.logits([1, 2, 3]);
    const warnings = model.warnings.map(({ code, message }): [string, string] => [code, message]);
    return { logits, written, warnings, stats: model.stats() };
  } finally {
    await model.dispose();
  }
}

test("is written once, says where and how much, and is mapped from then on: the same bits as without", async () => {
  const without = await load({ cache: false });
  expect(without.written).toEqual([]);
  expect(existsSync(cache)).toBe(false);
  const cold = await load();
  const path = only();
  expect(cold.written).toEqual([[path, statSync(path).size]]);
  utimesSync(path, 1, 1);
  const warm = await load();
  expect(warm.written).toEqual([]);
  expect(statSync(path).mtimeMs).toBeGreaterThan(1e12); // it is used
  for (const loaded of [cold, warm])
    expect(loaded).toMatchObject({ logits: without.logits, warnings: [], stats: without.stats });

  const { files, layout, tensors } = JSON.parse(PreparedFile.describe(path)!);
  expect(files.map((file: { path: string }) => file.path)).toEqual(
    readdirSync(dir)
      .filter((name) => name.endsWith(".safetensors"))
      .map((name) => join(dir, name)),
  );
  expect(layout).toMatch(/^cpu [1-9]\d*$/);
  expect(tensors).toHaveLength(7 * 4 + 2);
  expect(tensors).toContainEqual({ name: "model.layers.3.mlp.down_proj.weight", dtype: "q8", shape: [512, 2112] });
});

test("where they are kept, a model that is not mapped is read no further than for what is not packed", async () => {
  const read = () => Number(/^rchar: (\d+)/m.exec(readFileSync("/proc/self/io", "utf8"))![1]);
  const most: Record<string, number> = {};
  const logits: Float32Array[] = [];
  for (const what of ["packed", "found"]) {
    const before = read();
    const loaded = await load({ mmap: false, threads: 1 });
    most[what] = read() - before;
    expect(loaded.written).toHaveLength(what === "packed" ? 1 : 0);
    logits.push(loaded.logits);
  }
  expect(logits[1]).toEqual(logits[0]);
  expect(most.packed).toBeGreaterThan(60 * 2 ** 20); // all of it
  expect(most.found).toBeLessThan(2 ** 20);
});

const hasLargePages = existsSync("/sys/kernel/mm/transparent_hugepage/enabled");

describeWhere(hasLargePages, "this system has no large pages")("large pages are asked for", () => {
  /** Whether they are for a mapping of such a first line and so many bytes, in the words of the kernel. */
  const areAsked = (isIt: (line: string, bytes: number) => boolean) => {
    const mappings = readFileSync("/proc/self/smaps", "utf8").split(/\n(?=[0-9a-f]+-[0-9a-f]+ )/);
    return mappings.some((text) => {
      const [line, from, to] = /^(\w+)-(\w+) .*/.exec(text)!;
      const bytes = Number.parseInt(to!, 16) - Number.parseInt(from!, 16);
      return isIt(line, bytes) && /^VmFlags:.* hg( |$)/m.test(text);
    });
  };

  test.each(["made", "found"])("where weights that are %s lie", async (how) => {
    if (how === "found") await load();
    const model = await loadModel(dir, OPTIONS);
    try {
      const inode = String(statSync(only()).ino);
      expect(areAsked((line) => line.split(/\s+/)[4] === inode)).toBe(true);
    } finally {
      await model.dispose();
    }
  });

  test("where a file is read into", async () => {
    const shard = statSync(join(dir, "model-00001-of-00002.safetensors")).size;
    const model = await loadModel(dir, { ...OPTIONS, quantize: "none", mmap: false });
    try {
      expect(areAsked((line, bytes) => line.includes(" rw-p ") && bytes >= shard)).toBe(true);
    } finally {
      await model.dispose();
    }
  });
});

test("weights that are not packed, and few that are, are not kept", async () => {
  await load({ quantize: "none" });
  await load({}, loadTiny("gqa-f32").folder);
  expect(existsSync(cache)).toBe(false);
});

test("what says something else is made anew in its place, without a word", async () => {
  const model = join(temporary, "other");
  cpSync(dir, model, { recursive: true });
  const { logits } = await load({}, model);
  const path = only();
  const shard = join(model, "model-00001-of-00002.safetensors");
  const changes: Record<string, () => void> = {
    "another time": () => utimesSync(shard, 1, 1),
    "another file of its bytes, size and time": () => {
      cpSync(shard, `${shard}.new`);
      utimesSync(`${shard}.new`, 1, 1);
      renameSync(`${shard}.new`, shard);
    },
    "another header, of its time": () => {
      const bytes = readFileSync(shard);
      const header = bytes.subarray(8, 8 + Number(bytes.readBigUInt64LE())).toString();
      bytes.write(header.replace(/("dtype":"F32"),("shape":[^\]]*\])/, "$2,$1"), 8); // says the same, as long as before
      writeFileSync(shard, bytes);
      utimesSync(shard, 1, 1);
    },
  };
  for (const [what, change] of Object.entries(changes)) {
    change();
    const again = await load({}, model);
    expect([what, again.written.length, again.warnings]).toEqual([what, 1, []]);
    expect(again.logits).toEqual(logits);
    expect(only()).toBe(path);
  }
  // Of another version, and of another kind.
  for (const [kind, version] of [
    ["weights", 2],
    ["weight", 1],
  ] as const) {
    const made = PreparedFile.make({ path, kind, version, source: new Uint8Array(32) }, "{}", [100]);
    if (typeof made === "string") throw new Error(made);
    expect(await made.finish(1)).toBe("");
    expect(await load({}, model)).toMatchObject({ written: [[path, expect.any(Number)]], warnings: [], logits });
  }
});

describe("what is damaged is made anew, with one line", () => {
  let logits: Float32Array;
  let path: string;
  let whole: Buffer;
  beforeEach(async () => {
    ({ logits } = await load());
    path = only();
    whole = readFileSync(path);
  });
  const expectMadeAnew = async (what: string) => {
    const { written, warnings, logits: again } = await load();
    expect([what, written.length]).toEqual([what, 1]);
    expect(warnings).toEqual([["WARN_CACHE_DAMAGED", `${path} is damaged: the weights are packed anew`]]);
    expect(again).toEqual(logits);
    if (!readFileSync(path).equals(whole)) throw new Error(`${what}: it is another now`);
    expect(only()).toBe(path);
  };

  // Every truncation of a head and every flip of a bit: test/native/prepared_file_test.cc.
  test("cut short, too long, empty, or something else", async () => {
    for (const length of [0, 1, 79, 80, 4096, whole.length / 2, whole.length - 1]) {
      truncateSync(path, Math.floor(length));
      await expectMadeAnew(`${length} bytes`);
    }
    writeFileSync(path, Buffer.concat([whole, Buffer.alloc(64)]));
    await expectMadeAnew("longer");
    writeFileSync(path, "no prepared file, but quite some text");
    await expectMadeAnew("a text");
  });

  test("a bit in the head, in the table, in what it says, in the first weight, the last, and in what fills up", async () => {
    const description = whole.indexOf('{"files"');
    const tables = 80 + 16 * 30;
    const places = {
      head: 40,
      source: 33,
      table: tables,
      description,
      first: description + 8192,
      last: whole.length - 65,
    };
    for (const [what, at] of Object.entries({ ...places, end: whole.length - 1 })) {
      const bytes = Buffer.from(whole);
      bytes[at]! ^= 4;
      writeFileSync(path, bytes);
      await expectMadeAnew(`${what}, at ${at}`);
    }
  });

  test("sections of other sizes, with checksums that fit", async () => {
    const source = Uint8Array.from(whole.subarray(32, 64));
    const made = PreparedFile.make(
      { path, kind: "weights", version: 1, source },
      PreparedFile.describe(path)!,
      [64, 64],
    );
    if (typeof made === "string") throw new Error(made);
    expect(await made.finish(1)).toBe("");
    await expectMadeAnew("sizes");
  });

  test("a folder in its place is a warning at each load, and no more", async () => {
    rmSync(path);
    mkdirSync(join(path, "inside"), { recursive: true });
    const { warnings, written, logits: again } = await load();
    expect(written).toEqual([]);
    expect(warnings.map(([code]) => code)).toEqual(["WARN_CACHE_DAMAGED", "WARN_CACHE_UNUSABLE"]);
    expect(again).toEqual(logits);
    expect(names()).toHaveLength(1);
  });
});

test("a folder that cannot be made is one warning, and a load without it", async () => {
  writeFileSync(cache, "a file");
  const { warnings, written, logits } = await load();
  expect(warnings).toEqual([
    ["WARN_CACHE_UNUSABLE", expect.stringMatching(/^packed weights are not kept: .*cache-\d+/)],
  ]);
  expect(written).toEqual([]);
  expect(logits).toEqual((await load({ cache: false })).logits);
});

test("an abort while weights are packed is heard at the next slice, and leaves nothing", async () => {
  for (const share of [0.55, 0.75]) {
    const controller = new AbortController();
    let after = 0;
    const onProgress = (done: number, total: number) => {
      if (controller.signal.aborted) after += 1;
      if (done >= share * total) controller.abort();
    };
    const { signal } = controller;
    await expect(load({ signal, onProgress })).rejects.toMatchObject({ code: "ERR_ABORTED" });
    expect([after, names()]).toEqual([0, []]);
  }
});

/** Runs a program that has {@link PRELUDE}, with this cache; under a limit of bash. */
function run(program: string, limit = ":"): ChildProcess {
  const args = ["--input-type=module", "-e", PRELUDE + program];
  return spawn("bash", ["-c", `${limit}; exec "$@"`, "bash", process.execPath, ...args], {
    env: { ...process.env, QUIPU_CACHE: cache },
    stdio: ["ignore", "pipe", "inherit"],
  });
}

async function outputOf(child: ChildProcess): Promise<string> {
  let output = "";
  child.stdout!.on("data", (data) => (output += data));
  const [status] = await once(child, "close");
  expect(status).toBe(0);
  return output;
}

test("a process that is killed while it packs leaves nothing", async () => {
  const child = run(`
    await load(${JSON.stringify(dir)}, { onProgress: (done, total) => {
      if (done < 0.7 * total) return;
      console.log("packing");
      process.kill(process.pid, "SIGKILL");
    } });`);
  let output = "";
  child.stdout!.on("data", (data) => (output += data));
  const [, signal] = await once(child, "close");
  expect([signal, output]).toEqual(["SIGKILL", "packing\n"]);
  expect(names()).toEqual([]);
});

test("processes that make one at once all have it whole, and leave one", async () => {
  const program = `
    const { rmSync } = await import("node:fs");
    for (let i = 0; i < 4; i++) {
      if (i === 2) rmSync(${JSON.stringify(weights())}, { recursive: true, force: true, maxRetries: 10 }); // others write there
      const model = await load(${JSON.stringify(dir)});
      console.log(await sum(model));
      await model.dispose();
    }`;
  const outputs = await Promise.all([1, 2, 3].map(() => outputOf(run(program))));
  const sums = outputs.flatMap((output) => output.split("\n")).filter((line) => /^[0-9a-f]{64}$/.test(line));
  expect(sums).toHaveLength(12);
  expect(new Set(sums).size).toBe(1);
  only();
});

test("a disk that is full is one warning and a load without it, and nothing is left there", async () => {
  // No file may be larger than 8 MiB, this one is 18.
  const program = `const model = await load(${JSON.stringify(dir)}); console.log(await sum(model)); await model.dispose();`;
  const full = (await outputOf(run(program, "ulimit -f 8192"))).split("\n");
  expect(full[0]).toMatch(/^WARN_CACHE_UNUSABLE packed weights are not kept: .*File too large$/);
  expect(names()).toEqual([]);
  const [written, sum] = (await outputOf(run(program))).split("\n");
  expect([written, sum]).toEqual(["written", full[1]]);
});

// In a namespace of its own a user may mount a disk of memory.
const mounts = spawnSync("unshare", ["-rm", "mount", "-t", "tmpfs", "none", temporary]).status === 0;

describeWhere(mounts, "this system mounts nothing")("a disk of its own", () => {
  test("of which a fifth is too little is one warning and a load without it", () => {
    const mounted = join(temporary, "small");
    mkdirSync(mounted);
    const script = `mount -t tmpfs -o size=64m none "$0" && QUIPU_CACHE="$0" "$1" --input-type=module -e "$2" && ls -R "$0"`;
    const program = `${PRELUDE} const model = await load(${JSON.stringify(dir)}); await model.dispose();`;
    const args = ["-rm", "bash", "-c", script, mounted, process.execPath, program];
    const { stdout, stderr } = spawnSync("unshare", args, { encoding: "utf8" });
    expect(stderr).toBe("");
    expect(stdout).toMatch(/^WARN_CACHE_UNUSABLE packed weights are not kept: .* a fifth of the free disk\n/);
    expect(stdout).not.toMatch(/\.packed$/m);
  });
});
