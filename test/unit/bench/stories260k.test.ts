// stories260K as a checkpoint: what it says is what llama2.c, whose model it is, said (../shared/data/checkpoints), token for token.
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { loadModel } from "#quipu/index.js";
import { testWhere } from "../../where.js";

const { BOS, FILES, convertStories260k, stories260kEncoder } = (await import(
  pathToFileURL(join(process.cwd(), "bench/stories260k.js")).href
)) as {
  BOS: number;
  FILES: string;
  convertStories260k: (folder: string) => void;
  stories260kEncoder: () => (text: string) => Int32Array;
};

testWhere(existsSync(FILES), `${FILES} does not exist`)(
  "stories260K says what llama2.c has it say, in the ids that its text has there",
  async () => {
    const folder = mkdtempSync(join(tmpdir(), "quipu-stories-"));
    try {
      convertStories260k(folder);
      await using model = await loadModel(folder, { tokenizer: false, kvCache: "f32" });
      const said: number[] = [];
      const greedy = { temperature: 0, ignoreEos: true, maxTokens: 200 };
      for await (const event of model.generate([BOS], greedy)) if (event.type === "token") said.push(event.id);
      const oracle = readFileSync(join(FILES, "stories260K_greedy_200.txt"), "utf8").trimEnd();
      expect(said).toEqual(Array.from(stories260kEncoder()(oracle)));
    } finally {
      rmSync(folder, { recursive: true });
    }
  },
);
