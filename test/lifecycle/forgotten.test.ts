// Generations that were started and forgotten hold a slot: the collector gives it back, and who waits in vain is told who holds it.
import { spawnSync } from "node:child_process";

function run(body: string) {
  const program = `
    import { loadModel } from "#quipu/index.js";
    const load = (slotTimeoutMs) => loadModel(undefined, { threads: 1, slots: 1, slotTimeoutMs });
    /** Nothing refers to the generator any more, which is in the middle of its text. */
    const forget = async (model, options) => {
      const events = model.generate("Once upon a time", { seed: 1, ...options });
      await events.next();
      await events.next();
    };
    const use = async (model, options) => {
      let text = "";
      for await (const event of model.generate("The dog", { temperature: 0, maxTokens: 4, ...options })) text += event.text ?? "";
      return text;
    };
    ${body}`;
  const args = ["--expose-gc", "--no-warnings", "--input-type=module", "-e", program];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: "utf8", timeout: 250_000 });
  return { status, stdout, stderr };
}

test("what was forgotten is collected, and the next generation has its slot", () => {
  const program = `
    const model = await load(Infinity);
    const alone = await use(model);
    for (const options of [{}, { signal: new AbortController().signal }]) {
      await forget(model, options);
      let text;
      use(model).then((said) => { text = said; });
      while (text === undefined) { gc(); await new Promise(setImmediate); }
      console.log(text === alone);
    }
    await model.dispose();`;
  expect(run(program)).toEqual({ status: 0, stdout: "true\ntrue\n", stderr: "" });
});

test("a conversation whose generation was forgotten is busy until that is collected", () => {
  const program = `
    const model = await load(Infinity);
    const conversation = model.conversation();
    for (const events of [1, 2]) {
      await (async () => {
        const forgotten = conversation.generate("Once upon a time", { seed: 1 });
        for (let i = 0; i < events; i++) await forgotten.next();
      })();
      const say = () => use(conversation).catch(({ code }) => code);
      let said = await say();
      console.log(said);
      while (said === "ERR_BUSY") { gc(); await new Promise(setImmediate); said = await say(); }
      console.log(said === (await use(model)));
    }
    await model.dispose();`;
  expect(run(program)).toEqual({ status: 0, stdout: "ERR_BUSY\ntrue\n".repeat(2), stderr: "" });
});

test("a wait that may have no end is refused, naming the generation that holds the slot", () => {
  const program = `
    const model = await load(0);
    const held = model.generate("Once upon a time", { seed: 1 });
    await held.next();
    await held.next();
    for (const wait of [() => use(model), () => model.next("x"), () => model.logits([1])]) {
      await wait().catch(({ code, message }) => console.log(code, message.replace(/[\\d.]+ s ago/, "s ago")));
    }
    await held.return();
    console.log((await use(model)).length > 0);
    await model.dispose();`;
  const refusal =
    'ERR_BUSY the only slot is held by the generation after "<|begin_of_text|>Once upon a time" (started s ago, 1 token), and nobody asks it for the next event. ' +
    "Take a generation's events to their end, leave its loop, or call its return(); more slots let several run at once.\n";
  expect(run(program)).toEqual({ status: 0, stdout: `${refusal.repeat(3)}true\n`, stderr: "" });
});

test("generations at work are waited for, however impatient", () => {
  const program = `
    const model = await load(0);
    const texts = await Promise.all([1, 2, 3].map(() => use(model, { maxTokens: 30 })));
    console.log(new Set(texts).size);
    await model.dispose();`;
  expect(run(program)).toEqual({ status: 0, stdout: "1\n", stderr: "" });
});
