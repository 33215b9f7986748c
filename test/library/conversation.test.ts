// Conversations: what a turn computes, that it says what a generation on its own says, what rewinds and what gives way.
import { cpSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Conversation } from "#quipu/generate/conversation.js";
import type { ChatMessage, EndEvent, GenerateOptions, Prompt } from "#quipu/generate/events.js";
import type { LoadOptions } from "#quipu/generate/load.js";
import type { Model } from "#quipu/generate/model.js";
import { PageKeeper } from "#quipu/model/page-pool.js";
import type { Row } from "#quipu/model/runtime.js";
import { temporaryFolder } from "../checkpoint-writer.js";
import { loadTiny } from "../model/reference.js";
import { complete, someIds, withModel } from "../model/run-model.js";
import { request, vocabSize, withScheduler } from "../model/scheduling.js";

const TEMPLATE =
  "{% for m in messages %}<{{ m.role }}>{{ m.content.split('</think>')[-1] | trim }}\n{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}";
const dir = join(temporaryFolder(), "chat");
cpSync("models/storyteller", dir, { recursive: true });
writeFileSync(join(dir, "chat_template.jinja"), TEMPLATE);
const { folder } = loadTiny("gqa-f32");

const options = { temperature: 1, seed: 3, maxTokens: 12, ignoreEos: true } as const;

async function say(
  conversation: Conversation | Model,
  prompt: Prompt,
  rest: GenerateOptions = {},
): Promise<
  EndEvent & { readonly ids: number[]; readonly said: string; readonly computed: number; readonly dropped: number }
> {
  const ids: number[] = [];
  let [said, dropped] = ["", 0];
  for await (const event of conversation.generate(prompt, { ...options, ...rest })) {
    if (event.type === "start") dropped = event.droppedMessages;
    else said += event.text;
    if (event.type === "token") ids.push(event.id);
    if (event.type === "end")
      return { ...event, ids, said, dropped, computed: event.usage.promptTokens - event.usage.cachedTokens };
  }
  throw new Error("no end");
}

const withChat = (load: LoadOptions, body: (model: Model) => Promise<void>) =>
  withModel(dir, { tokenizer: true, threads: 2, ...load } as LoadOptions, body);
const user = (content: string) => ({ role: "user", content });
const assistant = (content: string) => ({ role: "assistant", content });

/** Ids that two prompts begin with both. */
function common(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let i = 0;
  while (i < a.length && i < b.length && a[i] === b[i]) i++;
  return i;
}

describe.each(["f32", "f16", "int8"] as const)("with a cache of %s", (kvCache) => {
  test("a turn computes what is new in it, and says what it says alone", async () => {
    await withChat({ kvCache }, async (model) => {
      const conversation = model.conversation();
      const messages: ChatMessage[] = [];
      let before: number[] = []; // ids whose keys are there
      for (const text of [
        "Hello, who are you?",
        "Tell me a story about a dog and a cat.",
        "And then?",
        "Why?",
        "The end?",
      ]) {
        messages.push(user(text));
        const prompt = [...model.encode(messages)];
        const alone = await say(model, messages, { promptCache: false });
        const turn = await say(conversation, messages);
        expect(turn.ids).toEqual(alone.ids);
        expect(turn.computed).toBe(prompt.length - Math.min(common(prompt, before), prompt.length - 1));
        before = [...prompt, ...turn.ids.slice(0, -1)];
        messages.push(assistant(turn.said));
      }
    });
  });
});

/** Turns by ids: the prompt goes on exactly as the completion before it ended. */
async function talk(conversation: Conversation | Model, lengths: readonly number[], seed = 1) {
  const computed: number[] = [];
  let ids = new Int32Array();
  for (const [i, length] of lengths.entries()) {
    ids = Int32Array.of(...ids, ...someIds(length, vocabSize, 100 * seed + i));
    const turn = await say(conversation, ids);
    computed.push(turn.computed);
    ids = Int32Array.of(...ids, ...turn.ids);
  }
  return computed;
}

test("what is computed is counted: the new ids, and the last one of the answer before", async () => {
  await withModel(folder, { threads: 2 }, async (model) => {
    expect(await talk(model.conversation(), [30, 5, 100, 1, 64])).toEqual([30, 6, 101, 2, 65]);
  });
});

test("and so it is by the rows of the steps", async () => {
  await withScheduler({ slots: 1 }, async (scheduler, steps) => {
    const keeper = new PageKeeper();
    const prompt = someIds(50, vocabSize);
    const read = async (ids: Int32Array) => {
      const sequence = scheduler.submit(request(ids, { maxTokens: 1 }, { keeper }));
      while ((await sequence.next()) !== undefined) {}
    };
    await read(prompt.subarray(0, 40));
    await read(prompt);
    const rows = steps.flatMap((step) => step.rows.map(({ position }: Row) => position));
    expect(rows).toEqual(Array.from({ length: 50 }, (_, i) => i));
  });
});

test("a turn that is taken back, told anew or answered again starts at the first difference", async () => {
  await withModel(folder, { threads: 2 }, async (model) => {
    const conversation = model.conversation();
    const prompt = someIds(150, vocabSize);
    await say(conversation, prompt);
    const computed = async (ids: Int32Array) => {
      const turn = await say(conversation, ids);
      expect(turn.ids).toEqual((await say(model, ids, { promptCache: false })).ids);
      return turn.computed;
    };
    expect(await computed(prompt)).toBe(1); // regenerate
    expect(await computed(Int32Array.of(...prompt.subarray(0, 140), ...someIds(7, vocabSize, 9)))).toBe(7); // edit
    expect(await computed(prompt.subarray(0, 70))).toBe(1); // undo
    expect(await computed(prompt)).toBe(80);
    const other = someIds(20, vocabSize, 5);
    expect(await computed(other)).toBe(20 - common(other, prompt));
  });
});

test("a template that changes what was said rewinds to where it did", async () => {
  await withChat({}, async (model) => {
    const conversation = model.conversation();
    const first = [user("Hello")];
    const thought = "I think of a long, long walk in the park. </think>  Hello you. ";
    const begun = [...first, assistant(thought)];
    const opened = await say(conversation, begun, {
      chatTemplate: "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}",
      addGenerationPrompt: false,
    });
    const next = [...begun, user("And?")];
    const turn = await say(conversation, next);
    expect(turn.ids).toEqual((await say(model, next, { promptCache: false })).ids);
    const [start, whole] = [model.encode(first), model.encode(next)];
    expect(turn.computed).toBeGreaterThan(whole.length - start.length - 3);
    expect(turn.computed).toBeLessThan(whole.length);
    expect(opened.computed).toBeGreaterThan(20);
  });
});

test("an answer that was ended early is gone on from, as far as it was said", async () => {
  await withModel(folder, { threads: 2 }, async (model) => {
    const conversation = model.conversation();
    const prompt = someIds(40, vocabSize);
    const said: number[] = [];
    for await (const event of conversation.generate(prompt, { ...options, maxTokens: 200 })) {
      if (event.type === "token" && said.push(event.id) === 5) break;
    }
    const controller = new AbortController();
    const next = Int32Array.of(...prompt, ...said, 1, 2);
    const events = conversation.generate(next, { ...options, maxTokens: 200, signal: controller.signal });
    const more: number[] = [];
    for await (const event of events) {
      if (event.type === "token" && more.push(event.id) === 3) controller.abort();
      if (event.type === "end") {
        expect(event.reason).toBe("abort");
        expect(event.usage.promptTokens - event.usage.cachedTokens).toBeLessThanOrEqual(3); // the last that was said may be there
      }
    }
    const last = Int32Array.of(...next, ...more, 7);
    const turn = await say(conversation, last);
    expect(turn.computed).toBeLessThanOrEqual(2);
    expect(turn.ids).toEqual((await say(model, last, { promptCache: false })).ids);
  });
});

test("a prompt that was ended in the middle goes on where it was", async () => {
  await withModel(folder, { threads: 2, batchSize: 10 }, async (model) => {
    const conversation = model.conversation();
    const prompt = someIds(100, vocabSize);
    const controller = new AbortController();
    const onPromptProgress = (done: number) => done >= 40 && controller.abort();
    await say(conversation, prompt, { signal: controller.signal, onPromptProgress });
    expect((await say(conversation, prompt)).computed).toBe(60);
  });
});

test("conversations beside one another keep what is theirs", async () => {
  await withModel(folder, { threads: 2 }, async (model) => {
    const [one, two] = [model.conversation(), model.conversation()];
    const alone = await talk(model.conversation(), [30, 5, 100, 1]);
    expect(await Promise.all([talk(one, [30, 5, 100, 1], 2), talk(two, [30, 5, 100, 1], 3)])).toEqual([alone, alone]);
    for (const turn of [5, 6]) {
      for (const conversation of [one, two]) {
        const prompt = someIds(90 + turn, vocabSize, 4); // the same in both
        expect((await say(conversation, prompt)).ids).toEqual((await say(model, prompt, { promptCache: false })).ids);
      }
    }
  });
});

test("any conversations at the same time, with too little memory for all, say what they say alone", async () => {
  const load = { threads: 2, contextLength: 256, cacheTokens: 640, slots: 2, batchSize: 60 };
  await withModel(folder, load, async (model) => {
    let state = 7;
    const random = (below: number) => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return Math.floor((state / 2 ** 32) * below);
    };
    let cached = 0;
    const live = async (first: Int32Array) => {
      const conversation = model.conversation();
      let before = first;
      for (let turn = 0; turn < 10; turn++) {
        const kept = before.subarray(0, random(before.length + 1)); // goes back anywhere, or goes on
        const prompt = Int32Array.of(
          ...(random(3) === 0 ? kept : before),
          ...someIds(1 + random(20), vocabSize, state),
        ).slice(-230);
        const controller = new AbortController();
        const stopsAt = random(3) === 0 ? random(5) : -1;
        const said: number[] = [];
        const request = { ...options, seed: turn, signal: controller.signal };
        for await (const event of conversation.generate(prompt, request)) {
          if (event.type === "token" && said.push(event.id) === stopsAt) controller.abort();
          if (event.type === "end") cached += event.usage.cachedTokens;
        }
        const alone = await say(model, prompt, { seed: turn, promptCache: false });
        expect(said).toEqual(alone.ids.slice(0, said.length));
        expect(said.length).toBe(stopsAt > 0 ? stopsAt : alone.ids.length);
        before = Int32Array.of(...prompt, ...said);
      }
    };
    const start = someIds(80, vocabSize, 3);
    await Promise.all([start, start, start.subarray(0, 70), someIds(100, vocabSize, 4)].map(live));
    expect(cached).toBeGreaterThan(1000);
    expect(model.stats()).toMatchObject({ running: 0, waiting: 0, pages: { used: 0, shared: 0 } });
  });
});

test("an idle conversation holds no slot, and gives way where its memory is needed", async () => {
  await withModel(folder, { threads: 2, contextLength: 256, cacheTokens: 256, slots: 1 }, async (model) => {
    const conversation = model.conversation();
    const prompt = someIds(100, vocabSize);
    await say(conversation, prompt);
    expect(model.stats()).toMatchObject({ running: 0, pages: { used: 0, cached: 2, free: 2 } });
    expect((await say(conversation, prompt)).computed).toBe(1);
    await say(model, someIds(230, vocabSize, 2));
    const again = await say(conversation, prompt);
    expect(again).toMatchObject({ computed: 100, ids: (await say(model, prompt, { promptCache: false })).ids });
  });
});

test("goes on to the last position of the context", async () => {
  await withModel(folder, { threads: 2, contextLength: 200, slots: 1 }, async (model) => {
    const conversation = model.conversation();
    const prompt = someIds(180, vocabSize);
    expect(await say(conversation, prompt, { maxTokens: -1 })).toMatchObject({ reason: "context", computed: 180 });
    expect(await say(conversation, prompt.subarray(0, 150), { maxTokens: -1 })).toMatchObject({ computed: 1 });
    await expect(say(conversation, someIds(200, vocabSize))).rejects.toMatchObject({ code: "ERR_CONTEXT_OVERFLOW" });
    expect(await say(conversation, prompt.subarray(0, 160))).toMatchObject({ computed: 10 });
  });
});

test("used twice at once it is busy, until the first generation is at its end", async () => {
  await withModel(folder, { threads: 2 }, async (model) => {
    const conversation = model.conversation();
    const prompt = someIds(10, vocabSize);
    const first = conversation.generate(prompt, options);
    await say(conversation, prompt); // the first has not begun
    await first.next();
    await expect(say(conversation, prompt)).rejects.toMatchObject({ code: "ERR_BUSY" });
    await first.next();
    await expect(say(conversation, prompt)).rejects.toMatchObject({ code: "ERR_BUSY" });
    await first.return();
    const second = conversation.generate(prompt, options);
    for (let event = await second.next(); event.value?.type !== "end"; ) event = await second.next();
    expect((await say(conversation, prompt)).reason).toBe("length"); // the second was never asked for more
    await expect(say(conversation, [-1])).rejects.toMatchObject({ code: "ERR_USAGE" });
    expect((await say(conversation, prompt)).reason).toBe("length");
  });
});

test("disposed of, it ends, and what it alone kept is free", async () => {
  await withModel(folder, { threads: 2 }, async (model) => {
    const all = model.stats().pages.free;
    const conversation = model.conversation();
    const events = conversation.generate(someIds(10, vocabSize), { ...options, maxTokens: 400 });
    await events.next();
    await events.next();
    conversation.dispose();
    conversation[Symbol.dispose]();
    await expect(
      (async () => {
        for await (const _ of events) {
        }
      })(),
    ).rejects.toMatchObject({ code: "ERR_DISPOSED" });
    await expect(say(conversation, [1])).rejects.toMatchObject({ code: "ERR_DISPOSED" });
    expect(await say(model, [1], { maxTokens: 1 })).toMatchObject({ reason: "length" });
    expect(model.stats().pages).toEqual({ used: 0, shared: 0, cached: 0, free: all });
    await model.dispose();
    expect(() => model.conversation()).toThrow(expect.objectContaining({ code: "ERR_DISPOSED" }));
  });
});

test("promptCache: false computes all of it, and keeps nothing", async () => {
  await withModel(folder, { threads: 2 }, async (model) => {
    const conversation = model.conversation();
    const prompt = someIds(70, vocabSize);
    await say(conversation, prompt);
    expect((await say(conversation, prompt, { promptCache: false })).computed).toBe(70);
    expect((await say(conversation, prompt)).computed).toBe(6); // what any prompt finds
  });
});

describe("onOverflow: slide", () => {
  const long = (name: string) => user(`${name}: ${"the dog ran to the park. ".repeat(4)}`);
  const system = { role: "system", content: "Be brief." };
  const turns = ["A", "B", "C", "D", "E"].flatMap((name) => [long(name), assistant(`${name} it is.`)]);
  const slide = (model: Model, messages: readonly ChatMessage[], rest: GenerateOptions = {}) =>
    say(model, messages, { onOverflow: "slide", ...rest });

  test("leaves out whole turns, the oldest first, until a quarter is free; the system message stays", async () => {
    await withChat({ contextLength: 128 }, async (model) => {
      const messages = [system, ...turns, user("And?")];
      expect(model.encode(messages).length).toBeGreaterThan(150);
      const fits = (dropped: number) => model.encode([system, ...messages.slice(1 + dropped)]);
      const least = [0, 2, 4, 6, 8, 10].find((dropped) => fits(dropped).length <= 96)!;
      const turn = await slide(model, messages);
      expect(turn).toMatchObject({ dropped: least, usage: { promptTokens: fits(least).length } });
      expect(turn.ids).toEqual((await say(model, [system, ...messages.slice(1 + least)])).ids);
      const before = turns.slice(0, 2);
      expect(await slide(model, [system, ...before, user("And?")])).toMatchObject({ dropped: 0 });
    });
  });

  test("the next turn leaves out no more, so that it begins as the one before", async () => {
    await withChat({ contextLength: 128 }, async (model) => {
      const conversation = model.conversation();
      let messages: ChatMessage[] = [system, ...turns, user("And?")];
      const first = await say(conversation, messages, { onOverflow: "slide" });
      messages = [system, ...messages.slice(1 + first.dropped), assistant(first.said), user("Why?")];
      const second = await say(conversation, messages, { onOverflow: "slide" });
      expect(second.dropped).toBe(0);
      expect(second.computed).toBeLessThan(30);
    });
  });

  test("makes room for the answer, not for one token alone", async () => {
    await withChat({ contextLength: 128 }, async (model) => {
      const messages = [...turns.slice(0, 4), user("And?")];
      const { length } = model.encode(messages);
      expect(length).toBeLessThan(128);
      expect(length).toBeGreaterThan(128 - 32);
      expect(await slide(model, messages, { maxTokens: 1 })).toMatchObject({ dropped: 0 });
      expect(await slide(model, messages, { maxTokens: -1 })).toMatchObject({ dropped: 2 });
    });
  });

  test("a last turn that does not fit is refused with the counts; one that hardly does is not", async () => {
    await withChat({ contextLength: 64 }, async (model) => {
      const messages = [...turns, user("the dog ran to the park. ".repeat(12))];
      await expect(slide(model, messages)).rejects.toMatchObject({
        ...{ code: "ERR_CONTEXT_OVERFLOW", option: "contextLength" },
        message: expect.stringMatching(
          /^the last turn alone has \d+ tokens, the context holds 64 and .*\. Shorten it, or take a longer context \(the model supports \d+\)\.$/,
        ),
      });
      await expect(slide(model, [system, ...messages])).rejects.toMatchObject({
        message: expect.stringMatching(
          /^the last turn with the system message has .*\. Shorten one of the two, or take/,
        ),
      });
      const tight = [...turns, user("the dog ran to the park. ".repeat(7))];
      expect(model.encode(tight.slice(-1)).length).toBeGreaterThan(48);
      expect(await slide(model, tight)).toMatchObject({ dropped: turns.length });
    });
  });

  test("text has no turns: a message has one, a raw text and ids are refused", async () => {
    await withChat({ contextLength: 64 }, async (model) => {
      expect(await say(model, "Hi", { onOverflow: "slide", raw: false, system: "S" })).toMatchObject({ dropped: 0 });
      for (const prompt of ["Hi", [1, 2]]) {
        await expect(say(model, prompt, { onOverflow: "slide" })).rejects.toMatchObject({
          ...{ code: "ERR_USAGE", option: "onOverflow" },
        });
      }
      expect((await model.next([...turns, user("And?")], { onOverflow: "slide" })).length).toBe(10);
    });
  });

  test("a system option stands before what is left", async () => {
    await withChat({ contextLength: 128 }, async (model) => {
      const turn = await slide(model, [...turns, user("And?")], { system: "Be brief." });
      const same = await say(model, [...turns.slice(turn.dropped), user("And?")], { system: "Be brief." });
      expect(turn.dropped).toBeGreaterThan(0);
      expect(turn.ids).toEqual(same.ids);
    });
  });
});

test("complete() sees no dropped messages elsewhere", async () => {
  await withModel(folder, { threads: 1 }, async (model) => {
    expect((await complete(model, [1, 2], { maxTokens: 1 })).start.droppedMessages).toBe(0);
  });
});
