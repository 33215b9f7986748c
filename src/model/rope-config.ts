// The rotary settings of config.json in their three spellings: rope_theta with rope_scaling (published Llama 3), all of it
// in rope_scaling, all of it in rope_parameters (transformers 5). What is said twice must be the same.
import { isJsonObject, type JsonObject, shownJson } from "../checkpoint/json.js";
import { QuipuError } from "../errors.js";
import { firstOf, type Warn } from "../warnings.js";
import { CONFIG_FILE, invalid, MAX_SIZE, positive, size, unsupported } from "./config-fields.js";
import { logarithm } from "./elementary.js";

/** Positions · factor, as if they were nearer together. */
export interface LinearScaling {
  readonly type: "linear";
  readonly factor: number;
}

/** Llama 3.1's: low frequencies are divided by the factor, high ones kept, those between blended. */
export interface Llama3Scaling {
  readonly type: "llama3";
  readonly factor: number;
  readonly lowFreqFactor: number;
  readonly highFreqFactor: number;
  readonly originalMaxPositions: number;
}

/** YaRN (arXiv:2309.00071): frequencies blended by how often they turn within the original context. */
export interface YarnScaling {
  readonly type: "yarn";
  readonly factor: number;
  readonly betaFast: number;
  readonly betaSlow: number;
  /** Whether the bounds of the range of blended frequencies are rounded to whole indices. */
  readonly truncate: boolean;
  readonly originalMaxPositions: number;
  /** What cosines and sines are multiplied by. */
  readonly attentionFactor: number;
}

export type RopeScaling = LinearScaling | Llama3Scaling | YarnScaling;

export interface RopeConfig {
  readonly theta: number;
  /** Without it the frequencies are θ^(−2j/d) as they are. */
  readonly scaling?: RopeScaling;
}

/** As transformers has it where nothing is said. */
const DEFAULT_THETA = 10000;
const EVERY_TYPE = ["rope_type", "type", "rope_theta", "partial_rotary_factor"];
const FIELDS: Readonly<Record<string, readonly string[]>> = {
  default: [],
  linear: ["factor"],
  llama3: ["factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings"],
  yarn: [
    ...["factor", "original_max_position_embeddings", "attention_factor", "mscale", "mscale_all_dim"],
    ...["beta_fast", "beta_slow", "truncate"],
  ],
};

/** @throws {QuipuError} ERR_MODEL_INVALID, ERR_MODEL_UNSUPPORTED naming the field. */
export function readRope(json: JsonObject, maxPositions: number, warn: Warn): RopeConfig {
  const objects = ["rope_scaling", "rope_parameters"].flatMap((name): Place[] => {
    const value = json[name];
    if (value == null) return [];
    if (!isJsonObject(value)) return invalid(name, "an object or null", value);
    return Object.keys(value).length === 0 ? [] : [{ where: `${name}.`, object: value }];
  });
  const places = [{ where: "", object: json }, ...objects];
  for (const { where, object } of places) {
    const partial = object.partial_rotary_factor;
    if (partial != null && partial !== 1) {
      unsupported(`${where}partial_rotary_factor`, "1 (all of a head is turned)", partial);
    }
  }
  const theta = oneValue("rope_theta", places, positive) ?? DEFAULT_THETA;
  const [first, second] = objects.map((place) => readScaling(json, place, maxPositions, warn));
  if (second !== undefined && JSON.stringify(first) !== JSON.stringify(second)) {
    invalid("rope_parameters", `the same as rope_scaling (${shownJson(json.rope_scaling, 200)})`, json.rope_parameters);
  }
  if (first?.scaling?.type === "yarn" && theta === 1) invalid("rope_theta", "another base than 1 for yarn", theta);
  return first?.scaling === undefined ? { theta } : { theta, scaling: first.scaling };
}

/** An object that may name a field, and what stands before the field's name in errors. */
interface Place {
  readonly where: string;
  readonly object: JsonObject;
}

/** What the places that name a field say: the same everywhere, or an error. */
function oneValue(
  field: string,
  places: readonly Place[],
  read: (object: JsonObject, field: string, where: string) => number,
): number | undefined {
  const values = places
    .filter(({ object }) => object[field] != null)
    .map(({ where, object }) => ({ name: where + field, value: read(object, field, where) }));
  const [first] = values;
  const other = values.find(({ value }) => value !== first!.value);
  if (other === undefined) return first?.value;
  throw new QuipuError(
    "ERR_MODEL_INVALID",
    `${CONFIG_FILE}: ${first!.name} is ${first!.value} and ${other.name} is ${other.value}: expected one value. Which is right is in the model's description`,
  );
}

function readScaling(
  json: JsonObject,
  { where, object: source }: Place,
  maxPositions: number,
  warn: Warn,
): { scaling: RopeScaling | undefined } {
  const type = source.rope_type ?? source.type ?? "default";
  if (source.rope_type != null && source.type != null && source.rope_type !== source.type) {
    invalid(`${where}type`, `the same as ${where}rope_type (${shownJson(source.rope_type)})`, source.type);
  }
  if (typeof type !== "string" || !Object.hasOwn(FIELDS, type)) {
    return unsupported(`${where}rope_type`, `one of ${Object.keys(FIELDS).join(", ")}`, type);
  }
  const known = [...EVERY_TYPE, ...FIELDS[type]!];
  const others = Object.keys(source).filter((name) => !known.includes(name));
  const byLayer = others.find((name) => isJsonObject(source[name]));
  if (byLayer !== undefined) unsupported(where + byLayer, "one setting for all layers", source[byLayer]);
  if (others.length > 0) {
    warn(
      "WARN_CONFIG_IGNORED",
      `${CONFIG_FILE}: ${where.slice(0, -1)}: not used with rope_type ${type}: ${firstOf(others)}`,
    );
  }
  const original = () =>
    oneValue(
      "original_max_position_embeddings",
      [
        { where: "", object: json },
        { where, object: source },
      ],
      (object, field, place) => size(object, field, MAX_SIZE, place),
    ) ?? maxPositions;
  switch (type) {
    case "linear":
      return { scaling: { type, factor: positive(source, "factor", where) } };
    case "llama3":
      return { scaling: readLlama3(source, where, original()) };
    case "yarn":
      return { scaling: readYarn(source, where, original(), maxPositions) };
    default:
      return { scaling: undefined };
  }
}

function readLlama3(source: JsonObject, where: string, originalMaxPositions: number): Llama3Scaling {
  const factor = positive(source, "factor", where);
  const lowFreqFactor = positive(source, "low_freq_factor", where);
  const highFreqFactor = positive(source, "high_freq_factor", where);
  if (highFreqFactor <= lowFreqFactor)
    invalid(`${where}high_freq_factor`, `more than low_freq_factor (${lowFreqFactor})`, highFreqFactor);
  return { type: "llama3", factor, lowFreqFactor, highFreqFactor, originalMaxPositions };
}

/** The defaults, and what 0 and null mean, are transformers' (modeling_rope_utils.py, _compute_yarn_parameters). */
function readYarn(source: JsonObject, where: string, originalMaxPositions: number, maxPositions: number): YarnScaling {
  const optional = (field: string): number | undefined =>
    source[field] == null || source[field] === 0 ? undefined : positive(source, field, where);
  const factor = source.factor === null ? maxPositions / originalMaxPositions : positive(source, "factor", where);
  const { truncate = true } = source;
  if (typeof truncate !== "boolean" && truncate !== null) invalid(`${where}truncate`, "true or false", truncate);
  const mscale = optional("mscale");
  const mscaleAllDim = optional("mscale_all_dim");
  const given = source.attention_factor == null ? undefined : positive(source, "attention_factor", where);
  const growth = (scale = 1) => (factor <= 1 ? 1 : 0.1 * scale * logarithm(factor) + 1);
  const inferred =
    mscale !== undefined && mscaleAllDim !== undefined ? growth(mscale) / growth(mscaleAllDim) : growth();
  return {
    type: "yarn",
    factor,
    betaFast: optional("beta_fast") ?? 32,
    betaSlow: optional("beta_slow") ?? 1,
    truncate: truncate === true,
    originalMaxPositions,
    attentionFactor: given ?? inferred,
  };
}
