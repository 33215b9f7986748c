// What `quipu train` says when it is interrupted.
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { jest } from "@jest/globals";
import { train } from "#quipu/cli/commands/train.js";
import { packCorpus } from "#quipu/index.js";
import { temporaryFolder } from "../../checkpoint-writer.js";

const TOKENIZER = "models/storyteller";
const dir = temporaryFolder();

test("nothing is said to be saved where nothing is", async () => {
  const [texts, data, out] = [join(dir, "a.txt"), join(dir, "a.tokens"), join(dir, "run")];
  writeFileSync(texts, "Once upon a time");
  await packCorpus({ files: [texts], tokenizer: TOKENIZER, output: data });
  const said = jest.spyOn(process.stderr, "write").mockReturnValue(true);
  // Ctrl-C comes before the first step.
  const context = {
    signal: new AbortController().signal,
    divertInterrupt: (handler: () => void) => {
      queueMicrotask(handler);
      return () => {};
    },
  };
  const options = { data, out, tokenizer: TOKENIZER, init: "storyteller-260k", steps: 1, batch: 16, threads: 1 };
  await expect(train(options, context)).rejects.toMatchObject({ code: "ERR_ABORTED" });
  const lines = said.mock.calls.map(([text]) => String(text));
  said.mockRestore();
  expect(lines.join("")).toContain("ends after this step");
  expect(lines.join("")).not.toContain("saved in");
  expect(readdirSync(out).sort()).toEqual([".lock", "log.jsonl"]);
});
