import { Holding } from "#quipu/generate/generate.js";
import type { SampledToken } from "#quipu/model/runtime.js";

const TOKEN: SampledToken = { id: 1, logprob: 0, best: [] };

test.each<["ends" | "fails"]>([["ends"], ["fails"]])(
  "a slot and its program are given back when the step that runs on them %s, and not before",
  async (how) => {
    const holding = new Holding();
    const said: string[] = [];
    let settle: (() => void) | undefined;
    holding.ahead = new Promise((resolve, reject) => {
      settle = () => (how === "ends" ? resolve(TOKEN) : reject(new Error("aborted")));
    });
    holding.decoder = { next: async () => TOKEN, release: () => said.push("program") };
    holding.lease = { slot: 0, setIdle: () => {}, release: () => said.push("slot") };
    const ended = holding.end();
    expect(holding.steps.aborted).toBe(true);
    await new Promise(setImmediate);
    expect(said).toEqual([]);
    settle!();
    await ended;
    expect(said).toEqual(["program", "slot"]);
  },
);
