import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseConfig, readConfig } from "#quipu/model/config.js";
import { parseGenerationConfig } from "#quipu/model/generation-config.js";
import { attentionFactor, inverseFrequencies } from "#quipu/model/rope.js";
import type { ModelWarning } from "#quipu/warnings.js";
import { TINY_CONFIG, temporaryFolder } from "../checkpoint-writer.js";
import { tinyNames } from "../model/reference.js";

const empty = temporaryFolder();
const changed = (fields: Record<string, unknown>) => parseConfig({ ...TINY_CONFIG, ...fields });
const warningsOf = (fields: Record<string, unknown>): ModelWarning[] => {
  const warnings: ModelWarning[] = [];
  parseConfig({ ...TINY_CONFIG, ...fields }, (code, message) => warnings.push({ code, message }));
  return warnings;
};

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

  test("the three spellings of the rotary settings mean the same", () => {
    const scaling = { factor: 8, low_freq_factor: 1, high_freq_factor: 4, original_max_position_embeddings: 64 };
    const expected = {
      theta: 5e5,
      scaling: { type: "llama3", factor: 8, lowFreqFactor: 1, highFreqFactor: 4, originalMaxPositions: 64 },
    };
    const all = { rope_type: "llama3", rope_theta: 5e5, ...scaling };
    expect(changed({ rope_theta: 5e5, rope_scaling: { rope_type: "llama3", ...scaling } }).rope).toEqual(expected);
    expect(changed({ rope_theta: 5e5, rope_scaling: { type: "llama3", ...scaling } }).rope).toEqual(expected);
    expect(changed({ rope_scaling: all }).rope).toEqual(expected);
    expect(changed({ rope_parameters: all }).rope).toEqual(expected);
    expect(changed({ rope_scaling: all, rope_parameters: all, rope_theta: 5e5 }).rope).toEqual(expected);
    const { original_max_position_embeddings, ...rest } = all;
    expect(changed({ rope_scaling: rest, original_max_position_embeddings }).rope).toEqual(expected);
    expect(changed({ rope_parameters: { rope_type: "default", rope_theta: 7 } }).rope).toEqual({ theta: 7 });
    expect(changed({ rope_scaling: { rope_theta: 7 } }).rope).toEqual({ theta: 7 });
    expect(changed({ rope_scaling: {}, rope_parameters: { rope_theta: 7 } }).rope).toEqual({ theta: 7 });
  });

  test("scalings, with transformers' defaults", () => {
    const scaling = (fields: Record<string, unknown>) => changed({ rope_scaling: fields }).rope.scaling;
    expect(scaling({ type: "linear", factor: 2 })).toEqual({ type: "linear", factor: 2 });
    const yarn = { type: "yarn", factor: 8, original_max_position_embeddings: 64 };
    const read = { type: "yarn", factor: 8, originalMaxPositions: 64, betaFast: 32, betaSlow: 1, truncate: true };
    const inferred = 0.1 * Math.log(8) + 1; // transformers: 1.2079441541679836
    expect(scaling(yarn)).toEqual({ ...read, attentionFactor: inferred });
    expect(scaling({ ...yarn, beta_fast: 0, beta_slow: null })).toEqual({ ...read, attentionFactor: inferred });
    expect(scaling({ ...yarn, truncate: null })).toEqual({ ...read, truncate: false, attentionFactor: inferred });
    expect(scaling({ ...yarn, factor: null })).toMatchObject({ factor: 256 / 64 }); // of max_position_embeddings
    expect(scaling({ type: "yarn", factor: 8 })).toMatchObject({ originalMaxPositions: 256 });
    expect(scaling({ ...yarn, attention_factor: 2 })).toMatchObject({ attentionFactor: 2 });
    expect(scaling({ ...yarn, mscale: 0.75, mscale_all_dim: 1 })).toMatchObject({
      attentionFactor: 0.95696321029195,
    });
    expect(scaling({ ...yarn, mscale: 0.75, mscale_all_dim: 0 })).toMatchObject({ attentionFactor: inferred });
    expect(scaling({ ...yarn, factor: 0.5 })).toMatchObject({ attentionFactor: 1 });
  });

  test.each<[Record<string, unknown>, RegExp]>([
    [
      { rope_theta: 1e4, rope_scaling: { rope_theta: 5e5 } },
      /rope_theta is 10000 and rope_scaling.rope_theta is 500000/,
    ],
    [
      { rope_scaling: { rope_theta: 1 }, rope_parameters: { rope_theta: 2 } },
      /rope_scaling.rope_theta is 1 and rope_p/,
    ],
    [{ rope_scaling: { type: "linear", rope_type: "default", factor: 2 } }, /rope_scaling.type: expected the same/],
    [
      { rope_scaling: { type: "linear", factor: 2 }, rope_parameters: { rope_type: "linear", factor: 4 } },
      /rope_parameters: expected the same as rope_scaling/,
    ],
    [
      {
        original_max_position_embeddings: 32,
        rope_scaling: { type: "yarn", factor: 8, original_max_position_embeddings: 64 },
      },
      /original_max_position_embeddings is 32 and rope_scaling.original_max_position_embeddings is 64/,
    ],
    [{ rope_scaling: { type: "linear" } }, /rope_scaling.factor: expected a number above 0, got nothing/],
    [{ rope_scaling: { type: "linear", factor: Number.NaN } }, /factor: expected a number above 0, got NaN/],
    [{ rope_scaling: { type: "linear", factor: "2" } }, /factor: expected a number above 0, got "2"/],
    [{ rope_scaling: { type: "yarn", original_max_position_embeddings: 64 } }, /factor/],
    [{ rope_scaling: { type: "yarn", factor: 2, attention_factor: 0 } }, /attention_factor/],
    [{ rope_scaling: { type: "yarn", factor: 2, truncate: 1 } }, /truncate/],
    [{ rope_theta: 1, rope_scaling: { type: "yarn", factor: 2 } }, /rope_theta/],
  ])("rotary settings %j contradict themselves or lack something", (fields, message) => {
    expect(() => changed(fields)).toThrow(
      expect.objectContaining({ code: "ERR_MODEL_INVALID", message: expect.stringMatching(message) }),
    );
  });

  test("spellings of the activation and the family", () => {
    expect(changed({ hidden_act: "swish" }).modelType).toBe("llama");
    expect(changed({ architectures: ["LLaMAForCausalLM"] }).modelType).toBe("llama");
    expect(changed({ architectures: ["LlamaModel"] }).modelType).toBe("llama");
    expect(changed({ architectures: null }).modelType).toBe("llama");
    expect(changed({ model_type: undefined }).modelType).toBe("llama");
  });

  test("Mistral without a window that could be felt, with Mistral's defaults", () => {
    const mistral = { model_type: "mistral", architectures: ["MistralForCausalLM"], sliding_window: null };
    expect(changed(mistral)).toMatchObject({ modelType: "mistral", kvHeads: 2 });
    const heads = { num_attention_heads: 16, num_key_value_heads: undefined, head_dim: 2 };
    expect(changed({ ...mistral, ...heads }).kvHeads).toBe(8);
    expect(changed({ ...mistral, max_position_embeddings: undefined }).maxPositions).toBe(131072);
    expect(changed({ ...mistral, sliding_window: 256 }).maxPositions).toBe(256); // as far as the positions go
    expect(changed({ ...mistral, sliding_window: undefined }).maxPositions).toBe(256); // 4096 is meant
    const long = { ...mistral, sliding_window: undefined, max_position_embeddings: 8192 };
    expect(() => changed(long)).toThrow(/sliding_window.*4096 where mistral's config.json says nothing, got nothing/);
    expect(() => changed({ ...mistral, sliding_window: 255 })).toThrow(/sliding_window.*got 255/);
  });

  test.each<[Record<string, unknown>, RegExp]>([
    [{ architectures: ["LlamaForSequenceClassification"] }, /architectures: LlamaForSequenceClassification/],
    [{ eos_token_id: [3, 32] }, /eos_token_id: expected ids from 0 to 31, got \[3,32\]: those outside are ignored/],
    [{ bos_token_id: -1 }, /bos_token_id/],
    [
      { rope_scaling: { type: "yarn", factor: 2, finetuned: true } },
      /rope_scaling: not used with rope_type yarn: finetuned/,
    ],
    [{ rope_scaling: { type: "default", factor: 2 } }, /not used with rope_type default: factor/],
  ])("%j is loaded as transformers does, with a warning", (fields, message) => {
    expect(warningsOf(fields)).toEqual([{ code: "WARN_CONFIG_IGNORED", message: expect.stringMatching(message) }]);
  });

  test("fields without a meaning here say nothing", () => {
    const fields = { torch_dtype: "bfloat16", dtype: "float32", pretraining_tp: 2, use_cache: false, auto_map: {} };
    expect(warningsOf({ ...fields, head_dim: null, sliding_window: null, quantization_config: null })).toEqual([]);
  });

  test.each<[Record<string, unknown>, RegExp]>([
    [{ model_type: "qwen2" }, /model_type: quipu runs Llama checkpoints: expected llama or mistral, got "qwen2"/],
    [{ architectures: ["Qwen2ForCausalLM"] }, /Qwen2ForCausalLM/],
    [{ model_type: undefined, architectures: ["Qwen2ForCausalLM"] }, /Qwen2ForCausalLM/],
    [{ model_type: "mistral" }, /architectures: .*expected those of model_type mistral/],
    [{ attention_bias: true }, /attention_bias/],
    [{ mlp_bias: true }, /mlp_bias/],
    [{ hidden_act: "gelu" }, /gelu/],
    [{ hidden_act: "SiLU" }, /SiLU/], // transformers does not know it either
    [{ quantization_config: { quant_method: "awq" } }, /awq/],
    [{ quantization_config: {} }, /quantization_config/],
    [{ quantization: { group_size: 64, bits: 4 } }, /quantization: .*MLX's.*"bits":4/],
    [{ rope_scaling: { rope_type: "dynamic", factor: 4 } }, /rope_type.*dynamic/],
    [{ rope_scaling: { rope_type: "longrope", factor: 4 } }, /rope_type.*longrope/],
    [{ rope_scaling: { type: "su" } }, /rope_type.*su/],
    [{ rope_scaling: { type: "mrope", mrope_section: [1, 1] } }, /rope_type.*mrope/],
    [{ rope_scaling: { type: "toString" } }, /rope_type.*toString/],
    [{ rope_parameters: { full_attention: { rope_theta: 5 } } }, /rope_parameters.full_attention/],
    [{ partial_rotary_factor: 0.5 }, /partial_rotary_factor.*got 0.5/],
    [{ rope_scaling: { type: "linear", factor: 2, partial_rotary_factor: 0.5 } }, /rope_scaling.partial_rotary_factor/],
    [{ sliding_window: 128 }, /sliding_window.*got 128/],
    [{ layer_types: ["full_attention", "sliding_attention"] }, /layer_types/],
    [{ per_layer_config: { 0: {} } }, /per_layer_config/],
    [{ transformers_weights: "other.safetensors" }, /transformers_weights/],
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
    [
      { rope_scaling: { rope_type: "llama3", factor: 8, low_freq_factor: 2, high_freq_factor: 2 } },
      /high_freq_factor: expected more than low_freq_factor \(2\), got 2/,
    ],
    [{ tie_word_embeddings: "yes" }, /tie_word_embeddings/],
    [{ model_type: undefined, architectures: undefined }, /model_type/],
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
    { eos_token_id: "99" },
  ])("%j is an error that names the field", (json) => {
    expect(() => parseGenerationConfig(json, config)).toThrow(
      expect.objectContaining({ code: "ERR_MODEL_INVALID", message: expect.stringContaining(Object.keys(json)[0]!) }),
    );
  });
});

describe("inverse frequencies", () => {
  test.each(tinyNames())("of %s are transformers', and so is the attention factor", async (name) => {
    const dir = join(process.cwd(), "test/reference/tiny", name);
    const golden = JSON.parse(readFileSync(join(dir, "golden.json"), "utf8")) as {
      inverseFrequencies: number[];
      attentionFactor?: number;
    };
    const { inverseFrequencies: expected } = golden;
    const config = await readConfig(dir);
    const actual = inverseFrequencies(config.rope, config.headSize);
    expect(attentionFactor(config.rope)).toBe(golden.attentionFactor ?? 1);
    expect(actual).toHaveLength(expected.length);
    actual.forEach((frequency, j) => {
      expect(Math.abs(frequency - expected[j]!)).toBeLessThanOrEqual(Math.abs(expected[j]!) * 2 ** -22); // 2 ulp: powers differ
    });
  });

  // At j = 1, 20, 26, 30, 36, 40, 63 of a head of 128, from transformers 5.24: settings as long-context models publish them.
  const AT = [1, 20, 26, 30, 36, 40, 63];
  test.each<[Record<string, unknown>, number, readonly number[]]>([
    [
      { rope_type: "yarn", factor: 4, original_max_position_embeddings: 32768, rope_theta: 1e6 },
      1.138629436111989,
      [0.80584222, 0.013335215, 0.0031684227, 0.001064361, 0.00017984115, 4.4456985e-5, 3.1023444e-7],
    ],
    [
      { rope_type: "yarn", factor: 32, original_max_position_embeddings: 4096, rope_theta: 1e4, truncate: false },
      1.3465735902799727,
      [0.86596435, 0.056234129, 0.018891174, 0.0084775742, 0.002217703, 0.00073827687, 3.6086935e-6],
    ],
    [
      {
        ...{ rope_type: "llama3", factor: 8, low_freq_factor: 1, high_freq_factor: 4, rope_theta: 5e5 },
        original_max_position_embeddings: 8192,
      },
      1,
      [0.81461722, 0.016560441, 0.0048394212, 0.0013718937, 7.7846555e-5, 3.4281024e-5, 3.0689259e-7],
    ],
    [
      { rope_type: "linear", factor: 8, rope_theta: 1e4 },
      1,
      [0.10824554, 0.0070292661, 0.002964217, 0.0016669019, 0.00070292666, 0.00039528473, 1.4434775e-5],
    ],
  ])("%j", (rope_parameters, factor, expected) => {
    const { rope } = changed({ rope_parameters, head_dim: 128 });
    const frequencies = inverseFrequencies(rope, 128);
    expect(attentionFactor(rope)).toBe(factor);
    AT.forEach((j, i) => {
      expect(Math.abs(frequencies[j]! - expected[i]!)).toBeLessThan(expected[i]! * 4e-7);
    });
  });

  // The second is a range that ends before the first frequency: 6 positions turn it less than once.
  test.each([
    [{ beta_fast: 4, beta_slow: 4, truncate: false, original_max_position_embeddings: 4096 }, 36],
    [{ original_max_position_embeddings: 6 }, 1],
  ])("of a yarn whose range is a point are kept before it, divided after it: %j", (fields, at) => {
    const rope_parameters = { rope_type: "yarn", factor: 8, rope_theta: 1e4, ...fields };
    const { rope } = changed({ rope_parameters, head_dim: 128 });
    const plain = inverseFrequencies({ theta: 1e4 }, 128);
    inverseFrequencies(rope, 128).forEach((frequency, j) => {
      expect(plain[j]! / frequency).toBeCloseTo(j < at ? 1 : 8, 5);
    });
  });
});
