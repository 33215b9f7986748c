// Greedy continuations, token for token, where the reference's choice is certain.
import { testWhere } from "../where.js";
import { firstWrongToken, type Greedy, loadSmollm2, loadTiny, smollm2Folder, tinyNames } from "./reference.js";
import { complete, withModel } from "./run-model.js";

/** What went wrong, or nothing. */
async function wrongTokens(
  dir: string,
  prompts: readonly { readonly name: string; readonly ids: readonly number[]; readonly greedy: Greedy }[],
): Promise<string[]> {
  return withModel(dir, { kvCache: "f32" }, async (model) => {
    const wrong: string[] = [];
    for (const { name, ids, greedy } of prompts) {
      const options = { temperature: 0, ignoreEos: true, maxTokens: greedy.ids.length };
      const { ids: got, end } = await complete(model, Int32Array.from(ids), options);
      const at = firstWrongToken(greedy, got);
      if (at >= 0) wrong.push(`${name}: token ${at}: expected ${greedy.ids[at]}, got ${got[at]}`);
      if (end.reason !== "length") wrong.push(`${name}: ended by ${end.reason}`);
    }
    return wrong;
  });
}

test.each(tinyNames())("tiny checkpoint %s continues as the reference does, 32 tokens", async (name) => {
  const { folder, prompts } = loadTiny(name);
  expect(prompts.map(({ greedy }) => greedy.ids.length)).toEqual(prompts.map(() => 32));
  expect(await wrongTokens(folder, prompts)).toEqual([]);
});

const smollm2 = smollm2Folder();
testWhere(smollm2 !== undefined, "SmolLM2 beside the reference")(
  "SmolLM2 continues eight prompts as the reference does, 48 tokens",
  async () => {
    const { prompts } = loadSmollm2();
    expect(prompts.map(({ greedy }) => greedy.ids.length)).toEqual(new Array(8).fill(48));
    expect(await wrongTokens(smollm2!, prompts)).toEqual([]);
  },
  180_000,
);
