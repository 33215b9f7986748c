// The result is the same whatever the threads and the memory, and after an interruption.
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TrainTokenizerOptions, trainWith } from "#quipu/tokenizer/train.js";
import { settingsOf, trainingOptions } from "#quipu/tokenizer/training/settings.js";

let dir: string;
let files: string[];

// Words drawn unevenly, so that some are in every file and most are rare; four files of 150 000 words.
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "quipu-memory-test-"));
  let state = 1;
  const draw = (below: number) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  files = Array.from({ length: 4 }, (_, i) => {
    const path = join(dir, `${i}.txt`);
    const word = () =>
      (draw(3) > 0 ? draw(500) : draw(2 ** 31)).toString(26).replace(/\d/g, (digit) => "vwxyzqjkpu"[+digit]!);
    writeFileSync(path, Array.from({ length: 150_000 }, word).join(" "));
    return path;
  });
});
afterAll(() => rmSync(dir, { recursive: true }));

const OPTIONS = { vocabSize: 600, minPieceCount: 2 };
/** With as many threads as are asked for, however many processors there are. */
const train = async (given: Partial<TrainTokenizerOptions> = {}) => {
  const options = trainingOptions({ files, ...OPTIONS, ...given });
  const settings = settingsOf(options);
  const threads = options.threads ?? settings.threads;
  const { merges, counts, stats } = await trainWith(options, { ...settings, threads });
  return { merges, counts, stats };
};
let expected: ReturnType<typeof train> | undefined;
const plain = () => (expected ??= train({ threads: 1 }));

test.each([
  ["two threads", { threads: 2 }],
  ["three threads", { threads: 3 }],
  ["counts that go to disk", { threads: 1, memory: 2 ** 21 }],
  ["counts of three threads that go to disk", { threads: 3, memory: 2 ** 20 }],
])("%s", async (_, options) => {
  expect(await train(options)).toEqual(await plain());
});

test("the order of the files", async () => {
  expect(await train({ files: [...files].reverse(), threads: 2 })).toEqual(await plain());
});

test("temporary counts are removed", async () => {
  // Other test files train at the same time, in other processes.
  const folders = () => readdirSync(tmpdir()).filter((name) => name.startsWith(`quipu-train-${process.pid}-`));
  await train({ memory: 2 ** 20 });
  await train({ files: [join(dir, "missing")] }).catch(() => {});
  expect(folders()).toEqual([]);
});

test("too little memory says what would do", async () => {
  const error = await train({ memory: 2 ** 20, minPieceCount: 1 }).catch((caught) => caught);
  expect(error).toMatchObject({ code: "ERR_OUT_OF_MEMORY", option: "memory" });
  const fits = Number(/pieces that occur fewer than (\d+) times/.exec(error.message)![1]);
  await train({ memory: 2 ** 20, minPieceCount: fits });
  if (fits > 2) await expect(train({ memory: 2 ** 20, minPieceCount: fits - 1 })).rejects.toThrow(/fewer than/);
});

describe("interrupted", () => {
  const total = () => files.reduce((sum, file) => sum + statSync(file).size, 0);
  /** Runs until this share of the files is read, then aborts. */
  const interrupt = (checkpoint: string, share: number, options: Partial<TrainTokenizerOptions> = {}) => {
    const controller = new AbortController();
    const onProgress = (_: string, done: number) => {
      if (done >= share * total()) controller.abort();
    };
    return train({ checkpoint, signal: controller.signal, onProgress, ...options });
  };

  test.each([
    ["in the second file", 0.4, {}, 1],
    ["in the fourth, with more files of counts than are open at once", 0.8, { threads: 8, memory: 2 ** 20 }, 65],
  ])("%s: the same command goes on", async (name, share, options, runs) => {
    const checkpoint = join(dir, name);
    await expect(interrupt(checkpoint, share, options)).rejects.toMatchObject({ code: "ERR_ABORTED" });
    const { progress } = JSON.parse(readFileSync(join(checkpoint, "counts.json"), "utf8"));
    expect(progress.runs.length).toBeGreaterThanOrEqual(runs);
    let first: number | undefined;
    const onProgress = (stage: string, done: number) => {
      if (stage === "counting") first ??= done;
    };
    expect(await train({ checkpoint, onProgress })).toEqual(await plain());
    expect(first ?? total()).toBeGreaterThan((share - 0.25) * total()); // files that were done are not read again
    expect(readdirSync(checkpoint)).toEqual([]);
  });

  test("while merging: the counts are there", async () => {
    const checkpoint = join(dir, "merging");
    const controller = new AbortController();
    const stop = train({
      checkpoint,
      vocabSize: 30_000,
      minPieceCount: 1,
      signal: controller.signal,
      onProgress: (stage) => stage === "merging" && controller.abort(),
    });
    await expect(stop).rejects.toMatchObject({ code: "ERR_ABORTED" });
    const { progress } = JSON.parse(readFileSync(join(checkpoint, "counts.json"), "utf8"));
    expect(progress.file).toBe(files.length);
    expect(await train({ checkpoint })).toEqual(await plain()); // what is learned from the counts may differ
  });

  test.each([
    ["other files", { files: () => files.slice(1) }, /there were 4 files/],
    ["files in another order", { files: () => [...files].reverse() }, /has changed, or was not at this place/],
    ["another pattern", { pattern: "gpt2" as const }, /pattern was llama3/],
    ["a file that has changed", { touch: 3 }, /3\.txt has changed/],
    ["a damaged manifest", { manifest: "{}" }, /not a checkpoint/],
    ["damaged counts", { truncate: true }, /damaged/],
  ])("refuses %s", async (name, change: Record<string, unknown>, said) => {
    const checkpoint = join(dir, name);
    await interrupt(checkpoint, 0.4).catch(() => {});
    const options: Partial<TrainTokenizerOptions> = { checkpoint };
    if (change.files) Object.assign(options, { files: (change.files as () => string[])() });
    if (change.pattern) Object.assign(options, { pattern: change.pattern });
    if (change.touch !== undefined) utimesSync(files[3]!, new Date(), new Date(Date.now() + 5000));
    if (change.manifest !== undefined) writeFileSync(join(checkpoint, "counts.json"), change.manifest as string);
    if (change.truncate) truncateSync(join(checkpoint, "run-0"), 1000);
    await expect(train(options)).rejects.toThrow(said);
  });

  test.each(["counting", "merging"])("by a callback that throws while %s", async (when) => {
    const failure = new Error("thrown");
    const onProgress = (stage: string) => {
      if (stage === when) throw failure;
    };
    await expect(train({ onProgress })).rejects.toBe(failure);
  });

  test("an aborted signal does nothing", async () => {
    const checkpoint = join(dir, "nothing");
    await expect(train({ checkpoint, signal: AbortSignal.abort() })).rejects.toMatchObject({ code: "ERR_ABORTED" });
    expect(existsSync(checkpoint)).toBe(false);
  });
});
