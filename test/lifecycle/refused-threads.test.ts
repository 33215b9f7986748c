// Threads that the system refuses: fewer are used, or there is an error; the process never aborts. As a user of their own
// whose processes are limited, which only root can start.
import { describeWhere } from "../where.js";
import { bash, limited } from "./script.js";

const USER = 54321; // runs nothing else
const possible = process.getuid?.() === 0 && process.env.QUIPU_SANITIZED === undefined;
const reason = "refused threads need another user, whom only root can be (not under the sanitizers)";

/** Runs node as that user with at most `most` threads. */
const asUser = { uid: USER, gid: USER, timeout: 250_000, env: { ...process.env, HOME: "/" } };
const node = (most: number, args: readonly string[]) => limited(`ulimit -u ${most}`, args, asUser);
const script = (most: number, code: string) => bash(`ulimit -u ${most}`, code, asUser);

/** The fewest threads with which node itself runs, its thread pool included. With some that are too few it waits for ever. */
let least = 0;
const HANGS_MS = 20_000;
const wantsPool = 'await (await import("node:fs/promises")).readFile("package.json"); console.log("ok")';

describeWhere(possible, reason)("where the system refuses threads", () => {
  beforeAll(() => {
    const runs = () => bash(`ulimit -u ${least}`, wantsPool, { ...asUser, timeout: HANGS_MS }).stdout === "ok\n";
    for (least = 5; least < 64 && !runs(); least++);
  }, 120_000);

  test("a device has those that were started, or is an error", () => {
    const open = `
      let text;
      try { const d = deviceOf(1000); await busy(d, 1).run(); text = d.threads + " " + d.threadsCut; await d.dispose(); }
      catch (error) { text = error.code; }
      ${wantsPool.replace('"ok"', "text")};`;
    const results = Array.from({ length: 8 }, (_, i) => script(least + i, open));
    expect(results.map(({ status, signal, stderr }) => ({ status, signal, stderr }))).toEqual(
      results.map(() => ({ status: 0, signal: null, stderr: "" })),
    );
    const said = results.map(({ stdout }) => stdout.trim());
    expect(
      said.filter((text) => !/^(ERR_DEVICE_UNAVAILABLE|\d+ 1000 asked for, the system refuses more)$/.test(text)),
    ).toEqual([]);
    expect(said.some((text) => /^[2-9] /.test(text))).toBe(true);
  }, 120_000);

  test("a device after one that was refused", () => {
    const { status, stdout, stderr } = script(
      least + 3,
      `for (let i = 0; i < 3; i++) { const d = deviceOf(1000); await busy(d, 1).run(); await d.dispose(); }
       ${wantsPool}`,
    );
    expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: "ok\n", stderr: "" });
  }, 60_000);

  test("the command line tells its story, or ends with 6", () => {
    const results = Array.from({ length: 5 }, (_, i) =>
      node(least + i, ["bin/quipu.js", "Once upon a time", "-n", "3", "-s", "3", "-t", "2", "--no-stdin"]),
    );
    for (const { status, stdout, stderr } of results) {
      if (status === 0) expect({ stdout, stderr }).toEqual({ stdout: ", there was", stderr: "" });
      else
        expect({ status, stderr }).toEqual({
          status: 6,
          stderr: expect.stringMatching(/^quipu: the system refuses to start a thread: /),
        });
    }
    expect(results.at(-1)!.status).toBe(0);
  }, 120_000);

  test("a plan has its table, and says why speeds are missing", () => {
    const args = ["bin/quipu.js", "plan", "-q", "none", "--kv-cache", "f16", "-t", "2"];
    const results = [least, least + 1].map((most) => limited(`ulimit -u ${most}`, args, asUser));
    for (const { status, stdout, stderr } of results) {
      expect({ status, stdout }).toEqual({ status: 0, stdout: expect.stringMatching(/^none +16\.00 .* yes /m) });
      if (stdout.includes("tg128 t/s")) expect(stderr).toBe("");
      else {
        expect(stderr).toMatch(
          /^quipu: no speed is expected: the system refuses to start a thread: .*\(--no-speed leaves it out\)\n$/,
        );
      }
    }
    expect(results.some(({ stderr }) => stderr !== "")).toBe(true);
  }, 240_000);

  test("a batch is encoded, and a vocabulary trained, by the threads that there are", () => {
    const { status, stdout, stderr } = script(
      least + 1,
      `const { loadEncoding, trainTokenizer } = await import(process.cwd() + "/dist/index.js");
       const tokenizer = await loadEncoding("p50k_base");
       const texts = Array.from({ length: 200 }, (_, i) => "text number " + i);
       const ids = await tokenizer.encodeBatch(texts, { threads: 30 });
       const trained = await trainTokenizer({ files: ["LICENSE"], vocabSize: 400, threads: 30 });
       console.log(ids.length, ids[7].length, trained.merges.length);`,
    );
    expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: "200 3 142\n", stderr: "" });
  }, 60_000);
});
