// Taps: the values on the way through the network, which tell the first layer that is wrong.
import { join } from "node:path";
import type { Tap } from "#quipu/model/runtime.js";
import { copyAltered } from "../altered-checkpoint.js";
import { temporaryFolder } from "../checkpoint-writer.js";
import { LOGIT_TOLERANCE, loadTiny } from "./reference.js";
import { pagesOf, rows, withRuntime } from "./run-model.js";

const { folder, prompts } = loadTiny("gqa-f32");
const { ids, taps: golden, logits } = prompts.find((prompt) => prompt.taps)!;
const expected = [...golden!, { name: "logits", data: logits }];

const tapsOf = (dir: string): Promise<Tap[]> =>
  withRuntime(dir, {}, (runtime) =>
    runtime.taps(rows(ids), [...ids.keys()], { writes: runtime.begin(0, pagesOf(runtime, 0)) }),
  );

/** The first tap that is further from the reference's than the tolerance allows. */
function firstWrong(taps: readonly Tap[]): string | undefined {
  return taps.find(({ data }, i) => {
    const reference = expected[i]!.data;
    const largest = reference.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
    return data.some((x, k) => !(Math.abs(x - reference[k]!) <= LOGIT_TOLERANCE * largest));
  })?.name;
}

test("taps come in the order of the network and equal the reference's", async () => {
  const taps = await tapsOf(folder);
  expect(taps.map(({ name }) => name)).toEqual(expected.map(({ name }) => name));
  expect(taps.map(({ data }) => data.length)).toEqual(expected.map(({ data }) => data.length));
  expect(firstWrong(taps)).toBeUndefined();
});

const altered = temporaryFolder();
test.each([
  ["model.embed_tokens.weight", "embedding"],
  ["model.layers.0.input_layernorm.weight", "layers.0.attention"],
  ["model.layers.0.self_attn.q_proj.weight", "layers.0.attention"],
  ["model.layers.0.mlp.up_proj.weight", "layers.0.mlp"],
  ["model.layers.1.self_attn.v_proj.weight", "layers.1.attention"],
  ["model.layers.1.mlp.down_proj.weight", "layers.1.mlp"],
  ["model.norm.weight", "norm"],
  ["lm_head.weight", "logits"],
])("a wrong %s shows first at %s", async (tensor, first) => {
  const dir = join(altered, tensor);
  copyAltered(folder, dir, tensor, (elements) => {
    for (let i = 0; i < elements.length; i++) elements[i]! *= 1.02;
  });
  expect(firstWrong(await tapsOf(dir))).toBe(first);
});
