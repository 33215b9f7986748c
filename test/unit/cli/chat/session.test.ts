// A session: what it knows, takes back, leaves out, writes and reads.
import { parseChatRequest } from "#quipu/chat/request.js";
import { Session } from "#quipu/cli/chat/session.js";

const said = (session: Session) => session.messages.map(({ role, content }) => `${role}: ${content}`);
function talk(session: Session, ...turns: readonly string[]): Session {
  for (const turn of turns) {
    session.say(turn);
    session.answered(turn.toUpperCase());
  }
  return session;
}

test("messages take turns, after the system message", () => {
  const session = talk(new Session({ system: "S" }), "a", "b");
  expect(said(session)).toEqual(["system: S", "user: a", "assistant: A", "user: b", "assistant: B"]);
  expect(session).toMatchObject({ system: "S", lastText: "b", isOpen: false, leftOut: 0 });
  session.system = "T";
  expect(said(session)[0]).toBe("system: T");
  session.system = "";
  expect(session.system).toBeUndefined();
  expect(said(session)[0]).toBe("user: a");
  session.system = "U";
  session.clear();
  expect(said(session)).toEqual(["system: U"]);
});

test("undo takes back the last message with what followed it, and never the system message", () => {
  const session = talk(new Session({ system: "S" }), "a", "b");
  expect([session.undo(), session.undo(), session.undo()]).toEqual(["b", "a", undefined]);
  expect(said(session)).toEqual(["system: S"]);
});

test("reopen takes back the answer; where a seed is set, the next one is asked with another", () => {
  const session = talk(new Session({ settings: { seed: 5, temp: 0.5 } }), "a");
  expect(session.request).toMatchObject({ seed: 5, temperature: 0.5 });
  session.reopen();
  expect(session).toMatchObject({ isOpen: true, request: { seed: 6 } });
  session.reopen(); // nothing was said yet
  expect(session.request).toMatchObject({ seed: 6 });
  session.answered("B");
  session.reopen();
  expect(session.request).toMatchObject({ seed: 7 });
  session.answered("C");
  session.say("b");
  expect(session.request).toMatchObject({ seed: 5 });
  session.settings = {};
  expect(session.request.seed).toBeUndefined();
});

test("a mark brings back what was, as often as it is asked", () => {
  const session = talk(new Session({ settings: { seed: 1 } }), "a", "b");
  session.leaveOut(2);
  const back = session.mark();
  const before = said(session);
  for (const change of [() => session.say("c"), () => session.undo(), () => session.reopen(), () => session.clear()]) {
    change();
    back();
    expect(said(session)).toEqual(before);
    expect(session).toMatchObject({ leftOut: 2, request: { seed: 1 } });
  }
});

test("what is left out is not sent, and comes back where there is room again", () => {
  const session = talk(new Session({ system: "S" }), "a", "b", "c");
  session.leaveOut(2);
  session.leaveOut(2);
  expect(session.prompt.map(({ content }) => content)).toEqual(["S", "c", "C"]);
  expect(session.messages).toHaveLength(7);
  session.reopen();
  expect(session.leftOut).toBe(4);
  session.undo();
  expect(session.prompt.map(({ content }) => content)).toEqual(["S", "a", "A", "b", "B"]);
});

describe("save and load", () => {
  test("what is saved is a request that reads as it was", () => {
    const settings = {
      ...{ temp: 0.5, topK: 3, seed: 7, maxTokens: -1, stop: ["\n\n", "x"], stopId: [3, "<|end|>"], ignoreEos: true },
      ...{
        logitBias: new Map<string | number, number>([
          [5, -1.5],
          [" a=b", Number.NEGATIVE_INFINITY],
        ]),
        onOverflow: "slide" as const,
      },
    };
    const session = talk(
      new Session({ system: "S", settings, options: { templateVariables: { thinks: false } } }),
      "a\n“ö”\u001b",
      "b",
    );
    const text = session.save();
    const { messages, templateVariables, otherFields } = parseChatRequest(text);
    expect(messages).toEqual(session.messages);
    expect(templateVariables).toEqual({ thinks: false });
    expect(otherFields).toEqual([
      ...[
        "max_tokens",
        "temperature",
        "top_k",
        "logit_bias",
        "seed",
        "stop",
        "stop_token_ids",
        "ignore_eos",
        "on_overflow",
      ],
    ]);
    const loaded = new Session({ request: text });
    expect(loaded.messages).toEqual(session.messages);
    expect(loaded.settings).toEqual(settings);
    expect(loaded.save()).toBe(text);
  });

  test("what was not written here comes out as it was: floats, calls of tools, order of fields", () => {
    const request = `{"tools": [{"f": {"2": 1.0, "1": 1}}], "messages": [{"role": "user", "content": [{"type": "text", "text": "p"}, {"type": "text", "text": "q"}]},
      {"role": "assistant", "content": null, "tool_calls": [{"function": {"name": "f", "arguments": {"10": 1.0, "9": 12345678901234567890}}}]},
      {"role": "tool", "content": "x"}, {"role": "assistant", "content": "y"}]}`;
    const session = new Session({ request });
    expect(session.lastText).toBe("p\nq");
    const saved = session.save();
    expect(saved).toContain('"10": 1.0,\n');
    expect(saved).toContain('"9": 12345678901234567890\n');
    expect(saved).toContain('"2": 1.0,\n');
    expect(new Session({ request: saved }).save()).toBe(saved);
  });

  test("a list of messages leaves the settings alone; what is given counts for more than the file", () => {
    const session = new Session({ settings: { temp: 0 } });
    session.load('[{"role": "user", "content": "a"}]');
    expect(session).toMatchObject({ settings: { temp: 0 }, isOpen: true });
    session.load(
      '{"temperature": 1, "max_tokens": null, "model": "m", "stop": "x", "messages": [{"role": "user", "content": "a"}]}',
    );
    expect(session.settings).toEqual({ temp: 1, stop: ["x"] });
    const request =
      '{"temperature": 1, "top_p": 0.5, "messages": [{"role": "system", "content": "S"}, {"role": "user", "content": "a"}]}';
    const given = new Session({ request, system: "T", settings: { temp: 0 } });
    expect(given).toMatchObject({ system: "T", settings: { temp: 0, topP: 0.5 } });
  });

  test.each([
    ["no JSON", "x", "not valid JSON"],
    ["no messages", "{}", "expected a list of messages"],
    ["none", "[]", "at least one message"],
    ["a message that is none", '[{"content": "a"}]', "messages[0].role"],
    [
      "a setting",
      '{"top_p": 2, "messages": [{"role": "user", "content": "x"}]}',
      'top_p: "2" is no value of it. Expected a number above 0, at most 1',
    ],
    [
      "a flag",
      '{"ignore_eos": 1, "messages": [{"role": "user", "content": "x"}]}',
      "ignore_eos: expected true or false",
    ],
  ])("%s is refused, and nothing has changed", (_, text, message) => {
    const session = talk(new Session({ settings: { temp: 0 } }), "a");
    expect(() => session.load(text)).toThrow(
      expect.objectContaining({ code: "ERR_USAGE", message: expect.stringContaining(message) }),
    );
    expect(said(session)).toEqual(["user: a", "assistant: A"]);
    expect(session.settings).toEqual({ temp: 0 });
  });
});
