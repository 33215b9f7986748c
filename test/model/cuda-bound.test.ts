// Models that are trained, or drawn as training begins, on CUDA devices: logits beside float64.
import type { JsonObject } from "#quipu/checkpoint/json.js";
import { loadTokenizer } from "#quipu/index.js";
import { parseConfig } from "#quipu/model/config.js";
import { expectedTensors } from "#quipu/model/tensors.js";
import { NormalNumbers } from "#quipu/train/normal-numbers.js";
import { temporaryFolder, writeCheckpoint } from "../checkpoint-writer.js";
import { isCuda, OTHER_DEVICES } from "../kernels/run-op.js";
import { describeWhere } from "../where.js";
import { difference, logitsOf, someIds } from "./run-model.js";

/** max |Δ| at a position, as a share of the greatest logit there. */
const BOUND = 2e-3;
/** Hidden features, feed-forward, query and key/value heads, vocabulary. */
const DRAWN = {
  "grouped queries, heads of 64": [256, 344, 4, 2, 300],
  "one key/value head of 128": [256, 300, 2, 1, 257],
  "as many of keys and values, heads of 64": [128, 200, 2, 2, 130],
  "odd sizes": [180, 130, 5, 1, 211],
} as const;
const STORYTELLER = "models/storyteller";

/** bf16, as training draws them: normal with a deviation of 0.02, of what a layer adds to its residuals less; norms 1. */
function drawnTensors(config: JsonObject) {
  return Object.fromEntries(
    expectedTensors(parseConfig(config)).map(({ name, shape }, stream) => {
      const values = new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(1);
      const adds = /o_proj|down_proj/.test(name) ? 1 / 2 : 1;
      if (shape.length > 1) new NormalNumbers(1, stream).fill(values, 0.02 * adds);
      const words = Uint16Array.from(new Uint32Array(values.buffer), (bits) => bits >>> 16);
      return [name, { dtype: "BF16", shape, data: new Uint8Array(words.buffer) }];
    }),
  );
}

const devices = OTHER_DEVICES.filter(isCuda);
const describeCuda = describeWhere(devices.length > 0, "models on CUDA: QUIPU_TEST_DEVICES names no such device");

describeCuda.each(devices.length > 0 ? devices : ["cuda" as const])("%s", (device) => {
  describe.each(Object.entries(DRAWN))(
    "weights drawn as training begins: %s",
    (_, [hidden, ffn, heads, kvHeads, vocabulary]) => {
      const folder = temporaryFolder();
      beforeAll(() => {
        const config = {
          ...{ architectures: ["LlamaForCausalLM"], model_type: "llama", vocab_size: vocabulary, hidden_size: hidden },
          ...{ intermediate_size: ffn, num_hidden_layers: 2, num_attention_heads: heads, num_key_value_heads: kvHeads },
          ...{ max_position_embeddings: 256, rms_norm_eps: 1e-5, tie_word_embeddings: false, eos_token_id: 3 },
        };
        writeCheckpoint(folder, { config, tensors: drawnTensors(config) });
      });

      test.each(["none", "q8", "q4"] as const)("logits with weights of %s beside float64", async (quantize) => {
        const ids = someIds(36, vocabulary); // more than one block's
        const of = (on: "reference" | typeof device) => logitsOf(folder, ids, { device: on, quantize, kvCache: "f16" });
        expect(difference(await of(device), await of("reference"), vocabulary)).toBeLessThanOrEqual(BOUND);
      });
    },
  );

  test.each(["none", "q8", "q4"] as const)(
    "the storyteller's logits with weights of %s beside float64",
    async (quantize) => {
      const text = "Once upon a time, there was a little girl named Lily. She loved to play outside in the sunshine.";
      const ids = (await loadTokenizer(STORYTELLER)).encode(text, { bos: true });
      const of = (on: "reference" | typeof device) =>
        logitsOf(STORYTELLER, Int32Array.from(ids), { device: on, quantize, kvCache: "f16" });
      const [is, exact] = [await of(device), await of("reference")];
      expect(difference(is, exact, is.length / ids.length)).toBeLessThanOrEqual(BOUND);
    },
  );
});
