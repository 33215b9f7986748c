// The package as its users get it: installed beside their code, imported, required, in workers, and when their process ends.
import { spawnSync } from "node:child_process";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { temporaryFolder } from "../checkpoint-writer.js";
import { writeSlowCheckpoint } from "../slow-checkpoint.js";
import { SAY } from "../story-program.js";

const root = process.cwd();
const dir = temporaryFolder();
mkdirSync(join(dir, "node_modules"));
symlinkSync(root, join(dir, "node_modules", "quipu-llm"), "dir");
writeSlowCheckpoint(join(dir, "slow"));

/** Runs a program in the folder beside the package; `late` is how it counts failures that nobody has handled. */
function run(name: string, program: string) {
  writeFileSync(join(dir, name), program);
  const { status, signal, stdout, stderr } = spawnSync(process.execPath, ["--no-warnings", name], {
    ...{ cwd: dir, encoding: "utf8", timeout: 250_000 },
  });
  return { status, signal, output: stdout.trim(), stderr };
}

const IMPORT = `import { loadModel, loadTokenizer, isQuipuError, QuipuError } from "quipu-llm";\n`;

test("says the same from import, from require and from a worker", () => {
  const imported = run("say.mjs", `${IMPORT}${SAY}console.log(await say(loadModel));`);
  expect(imported).toMatchObject({ status: 0, stderr: "" });
  expect(imported.output.length).toBeGreaterThan(20);
  const required = run("say.cjs", `const { loadModel } = require("quipu-llm");${SAY}say(loadModel).then(console.log);`);
  expect(required).toEqual(imported);
  const worker = `
    import { Worker, isMainThread, parentPort } from "node:worker_threads";
    import { fileURLToPath } from "node:url";
    if (isMainThread) {
      const workers = [1, 2].map(() => new Worker(fileURLToPath(import.meta.url)));
      const texts = await Promise.all(workers.map((worker) => new Promise((resolve, reject) => worker.once("message", resolve).once("error", reject))));
      texts.push(await say(loadModel));
      console.log(new Set(texts).size === 1 ? texts[0] : texts.join("|"));
    } else parentPort.postMessage(await say(loadModel));`;
  expect(run("worker.mjs", IMPORT + SAY + worker)).toEqual(imported);
});

test("errors are recognised, across import and require too", () => {
  const { output } = run(
    "errors.mjs",
    `${IMPORT}import { createRequire } from "node:module";
    const error = await loadModel("nowhere").catch((error) => error);
    const { isQuipuError: other } = createRequire(import.meta.url)("quipu-llm");
    console.log(isQuipuError(error), other(error), error instanceof QuipuError, error.code);`,
  );
  expect(output).toBe("true true true ERR_MODEL_NOT_FOUND");
});

test("has types for import and for require", () => {
  const use = `
    const found: boolean = isQuipuError(new Error());
    export async function say(): Promise<number> {
      await using model: Model = await loadModel("dir", { kvCache: "f16", contextLength: 100, tokenizer: false });
      let tokens = 0;
      for await (const event of model.generate([{ role: "user", content: "Hi" }], { topP: 0.9, stop: ["x"] })) {
        if (event.type === "token") tokens += event.top?.length ?? event.id;
        else if (event.type === "end") tokens += event.usage.completionTokens + event.timings.firstTokenMs;
      }
      const logits: Float32Array = await model.logits(Int32Array.of(1));
      // @ts-expect-error no such option
      await model.next("x", { top_p: 1 });
      return found ? tokens : logits.length;
    }`;
  writeFileSync(join(dir, "use.mts"), `import { isQuipuError, loadModel, type Model } from "quipu-llm";${use}`);
  writeFileSync(
    join(dir, "use.cts"),
    `import quipu = require("quipu-llm");\nconst { isQuipuError, loadModel } = quipu;\ntype Model = quipu.Model;${use}`,
  );
  const options = {
    strict: true,
    noEmit: true,
    module: "nodenext",
    target: "es2023",
    lib: ["es2023", "esnext.disposable"],
  };
  const compilerOptions = { ...options, types: ["node"], typeRoots: [join(root, "node_modules", "@types")] };
  writeFileSync(join(dir, "tsconfig.json"), JSON.stringify({ compilerOptions, files: ["use.mts", "use.cts"] }));
  const { status, stdout } = spawnSync(process.execPath, [join(root, "node_modules/typescript/bin/tsc"), "-p", dir], {
    encoding: "utf8",
  });
  expect({ status, stdout }).toEqual({ status: 0, stdout: "" });
});

/** A generation on the slow model that is at its first prompt steps, of a prompt of so many tokens. */
const busy = (length: number) => `
  const model = await loadModel("slow", { tokenizer: false, threads: 2, slots: 2 });
  const long = new Int32Array(${length}).fill(5);
  const use = async (prompt, options) => {
    const seen = [];
    for await (const event of model.generate(prompt, { temperature: 0, ...options })) seen.push(event.reason ?? event.type);
    return seen.at(-1);
  };
  /** Begins the long prompt; resolves when its first step is done. */
  const midPrompt = (options) => new Promise((resolve) => {
    const ended = use(long, { ...options, onPromptProgress: () => resolve({ ended }) });
  });
`;
const BUSY = busy(3000);

describe("a process ends", () => {
  test("with its own status when it exits in mid-generation", () => {
    const program = `${IMPORT}${BUSY}
      const spent = () => { const { user, system } = process.cpuUsage(); return (user + system) / 1e6; };
      const start = spent();
      await midPrompt();
      const left = spent();
      console.log(JSON.stringify({ left, step: left - start }));
      process.exit(7);`;
    writeFileSync(join(dir, "exit.mjs"), program);
    // Seconds of processor time, which other users of the machine do not add to: what it had in all is the last line of `times`.
    const script = '"$0" --no-warnings exit.mjs; status=$?; times; exit $status';
    const { status, stdout, stderr } = spawnSync("bash", ["-c", script, process.execPath], {
      ...{ cwd: dir, encoding: "utf8", timeout: 250_000, env: { ...process.env, LC_ALL: "C" } },
    });
    expect({ status, stderr }).toEqual({ status: 7, stderr: "" });
    const [said, , times] = stdout.trim().split("\n");
    const { left, step } = JSON.parse(said!);
    const all = [...times!.matchAll(/(\d+)m([\d.]+)s/g)].reduce((sum, [, m, s]) => sum + 60 * Number(m) + Number(s), 0);
    expect(all).toBeGreaterThan(left - 0.1);
    expect(all - left).toBeLessThan(step + 0.5); // not the five steps that are left
  });

  test("by itself when a generation is left lying", () => {
    const program = `${IMPORT}${BUSY}
      const events = model.generate(long.subarray(0, 3), { temperature: 0 });
      await events.next();
      console.log((await events.next()).value.type);`;
    expect(run("left.mjs", program)).toMatchObject({ status: 0, signal: null, output: "token", stderr: "" });
  });

  test("with its error when the loop's body throws", () => {
    const program = `${IMPORT}${BUSY}
      for await (const event of model.generate(long.subarray(0, 3))) if (event.type === "token") throw new Error("mine");`;
    const { status, stderr } = run("throws.mjs", program);
    expect(status).toBe(1);
    expect(stderr).toContain("Error: mine");
  });

  test("by a signal", () => {
    const program = `${IMPORT}${BUSY}const { ended } = await midPrompt(); process.kill(process.pid, "SIGTERM"); await ended;`;
    expect(run("signal.mjs", program)).toMatchObject({ status: null, signal: "SIGTERM" });
  });

  test("whole, when a worker is terminated in mid-generation", () => {
    const program = `${IMPORT}import { Worker, isMainThread, parentPort } from "node:worker_threads";
      import { fileURLToPath } from "node:url";
      ${BUSY}
      if (isMainThread) {
        const worker = new Worker(fileURLToPath(import.meta.url));
        await new Promise((resolve, reject) => worker.once("message", resolve).once("error", reject));
        await worker.terminate();
        console.log(await use(long.subarray(0, 3), { maxTokens: 2 }));
      } else {
        const { ended } = await midPrompt();
        parentPort.postMessage(1);
        await ended;
      }`;
    expect(run("terminated.mjs", program)).toMatchObject({ status: 0, output: "length", stderr: "" });
  });
});

test("no rejection is left unhandled, whatever ends a generation", () => {
  const program = `${IMPORT}
    process.on("unhandledRejection", (error) => console.log("unhandled", error));
    ${busy(700)}
    const controller = new AbortController();
    const broken = async (type) => { for await (const event of model.generate(long.subarray(0, 9))) if (event.type === type) break; };
    const { ended } = await midPrompt({ signal: controller.signal });
    const work = [ended, broken("start"), broken("token"), use(long, { signal: controller.signal })];
    await work[2]; // the last one has its slot
    controller.abort();
    console.log((await Promise.all(work)).join());
    const events = model.generate(long.subarray(0, 3), { maxTokens: 50 });
    await events.next();
    await events.next(); // the next token is under way, and nobody waits for it: it may be done before all ends
    await model.dispose();
    let last;
    do last = await events.next().catch((error) => error.code); while (last.done === false);
    console.log(last, (await events.next()).done);`;
  expect(run("unhandled.mjs", program)).toMatchObject({
    ...{ status: 0, output: "abort,,,abort\nERR_DISPOSED true", stderr: "" },
  });
});
