import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseConfig, readConfig } from "#quipu/model/config.js";
import { parseGenerationConfig } from "#quipu/model/generation-config.js";
import { inverseFrequencies } from "#quipu/model/rope.js";
import { TINY_CONFIG, temporaryFolder } from "../checkpoint-writer.js";

const empty = temporaryFolder();
const changed = (fields: Record<string, unknown>) => parseConfig({ ...TINY_CONFIG, ...fields });

describe("config.json", () => {
  test("defaults of published configurations", () => {
    const config = changed({ num_key_value_heads: undefined, rms_norm_eps: undefined });
    expect(config).toMatchObject({
      kvHeads: 4,
      headSize: 4,
      normEps: 1e-6,
      rope: { theta: 10000 },
      eosIds: [3],
      tiedEmbeddings: false,
    });
    expect(changed({ head_dim: 10 }).headSize).toBe(10);
    expect(changed({ eos_token_id: [3, 5] }).eosIds).toEqual([3, 5]);
    expect(changed({ eos_token_id: null }).eosIds).toEqual([]);
  });

  test("both spellings of the rotary settings mean the same", () => {
    const scaling = { factor: 8, low_freq_factor: 1, high_freq_factor: 4, original_max_position_embeddings: 64 };
    const old = changed({ rope_theta: 5e5, rope_scaling: { rope_type: "llama3", ...scaling } }).rope;
    expect(old).toEqual({
      theta: 5e5,
      scaling: { factor: 8, lowFreqFactor: 1, highFreqFactor: 4, originalMaxPositions: 64 },
    });
    expect(changed({ rope_parameters: { rope_type: "llama3", rope_theta: 5e5, ...scaling } }).rope).toEqual(old);
    expect(changed({ rope_theta: 5e5, rope_scaling: { type: "llama3", ...scaling } }).rope).toEqual(old);
    expect(changed({ rope_parameters: { rope_type: "default", rope_theta: 7 } }).rope).toEqual({ theta: 7 });
  });

  test.each<[Record<string, unknown>, RegExp]>([
    [{ model_type: "mistral" }, /model_type: quipu runs Llama checkpoints: expected "llama", got "mistral"|mistral/],
    [{ architectures: ["Qwen2ForCausalLM"] }, /Qwen2ForCausalLM/],
    [{ attention_bias: true }, /attention_bias/],
    [{ mlp_bias: true }, /mlp_bias/],
    [{ hidden_act: "gelu" }, /gelu/],
    [{ quantization_config: { quant_method: "awq" } }, /awq/],
    [{ rope_scaling: { rope_type: "yarn", factor: 4 } }, /rope_type.*yarn/],
    [{ rope_scaling: { type: "linear", factor: 2 } }, /linear/],
    [{ sliding_window: 4096 }, /sliding_window/],
  ])("%j is refused by name", (fields, message) => {
    expect(() => changed(fields)).toThrow(
      expect.objectContaining({ code: "ERR_MODEL_UNSUPPORTED", message: expect.stringMatching(message) }),
    );
  });

  test.each<[Record<string, unknown>, RegExp]>([
    [{ vocab_size: undefined }, /vocab_size: expected a whole number from 1 to \d+, got nothing/],
    [{ hidden_size: "16" }, /hidden_size.*got "16"/],
    [{ hidden_size: 0 }, /hidden_size/],
    [{ num_hidden_layers: 1e9 }, /num_hidden_layers/],
    [{ num_attention_heads: 3 }, /num_attention_heads: expected a multiple of num_key_value_heads \(2\), got 3/],
    [{ hidden_size: 18 }, /no head_dim/],
    [{ head_dim: 5 }, /even/],
    [{ rms_norm_eps: -1 }, /rms_norm_eps/],
    [{ rope_theta: 0 }, /rope_theta/],
    [{ rope_scaling: 3 }, /rope_scaling/],
    [{ rope_scaling: { rope_type: "llama3", factor: 8 } }, /low_freq_factor/],
    [{ tie_word_embeddings: "yes" }, /tie_word_embeddings/],
    [{ eos_token_id: 32 }, /eos_token_id: expected ids from 0 to 31, got 32/],
    [{ eos_token_id: ["a"] }, /eos_token_id/],
    [{ architectures: "LlamaForCausalLM" }, /architectures/],
  ])("%j is an error that names the field", (fields, message) => {
    expect(() => changed(fields)).toThrow(
      expect.objectContaining({ code: "ERR_MODEL_INVALID", message: expect.stringMatching(message) }),
    );
  });

  test("a folder without config.json says what is expected", async () => {
    await expect(readConfig(empty)).rejects.toMatchObject({
      code: "ERR_MODEL_NOT_FOUND",
      message: expect.stringContaining("params.json"),
    });
  });
});

describe("generation_config.json", () => {
  const config = parseConfig(TINY_CONFIG);
  test("gives defaults and end-of-sequence ids", () => {
    expect(
      parseGenerationConfig({ eos_token_id: [5, 3], temperature: 0.6, top_p: 0.9, max_new_tokens: 9 }, config),
    ).toMatchObject({
      eosIds: [5, 3],
      temperature: 0.6,
      topP: 0.9,
      maxNewTokens: 9,
      topK: undefined,
    });
    expect(parseGenerationConfig({ do_sample: false, temperature: 0.6 }, config).temperature).toBe(0);
    expect(parseGenerationConfig({}, config).eosIds).toEqual([]);
  });
  test.each([
    { temperature: -1 },
    { top_p: 0 },
    { top_k: 1.5 },
    { min_p: 2 },
    { repetition_penalty: 0 },
    { max_new_tokens: "9" },
    { do_sample: 1 },
    { eos_token_id: 99 },
  ])("%j is an error that names the field", (json) => {
    expect(() => parseGenerationConfig(json, config)).toThrow(
      expect.objectContaining({ code: "ERR_MODEL_INVALID", message: expect.stringContaining(Object.keys(json)[0]!) }),
    );
  });
});

describe("inverse frequencies", () => {
  test.each(["gqa-f32", "mqa-tied-bf16", "llama3-rope-sharded-bf16", "llama3-rope-parameters-f32"])(
    "of %s are transformers'",
    async (name) => {
      const dir = join(process.cwd(), "test/reference/tiny", name);
      const { inverseFrequencies: expected } = JSON.parse(readFileSync(join(dir, "golden.json"), "utf8")) as {
        inverseFrequencies: number[];
      };
      const config = await readConfig(dir);
      const actual = inverseFrequencies(config.rope, config.headSize);
      expect(actual).toHaveLength(expected.length);
      actual.forEach((frequency, j) => {
        expect(Math.abs(frequency - expected[j]!)).toBeLessThanOrEqual(Math.abs(expected[j]!) * 2 ** -22); // 2 ulp: powers differ
      });
    },
  );
});
