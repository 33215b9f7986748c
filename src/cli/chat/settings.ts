// The settings of a session: the sampling options of the command line, by the same names and with the same checks, and their names in a
// request as OpenAI and vLLM write it.
import { Command, InvalidArgumentError, type Option } from "commander";
import { QuipuError } from "../../errors.js";
import { nearest } from "../../nearest.js";
import { addSamplingOptions } from "../options.js";
import type { SamplingOptions } from "../sampling-options.js";

type Name = keyof SamplingOptions;

/** In a request. */
const FIELDS: Readonly<Record<Name, string>> = {
  maxTokens: "max_tokens",
  temp: "temperature",
  topK: "top_k",
  topP: "top_p",
  minP: "min_p",
  repeatPenalty: "repetition_penalty",
  presencePenalty: "presence_penalty",
  frequencyPenalty: "frequency_penalty",
  logitBias: "logit_bias",
  seed: "seed",
  stop: "stop",
  stopId: "stop_token_ids",
  ignoreEos: "ignore_eos",
  onOverflow: "on_overflow",
};

const OPTIONS: ReadonlyMap<string, Option> = new Map(
  addSamplingOptions(new Command()).options.map((option) => [nameOf(option), option]),
);

/** "top-p", as a session calls it. */
function nameOf({ long }: Option): string {
  return long!.slice("--".length);
}

/** Every setting by name, with what is set. */
export function listSettings(set: SamplingOptions): [name: string, value: string][] {
  return [...OPTIONS].map(([name, option]) => [name, formatSetting(set[option.attributeName() as Name])]);
}

/**
 * The settings with one changed; "default" takes it back.
 *
 * @throws {QuipuError} ERR_USAGE for a name that is none, or a value that it cannot have.
 */
export function changeSetting(set: SamplingOptions, name: string, value: string): SamplingOptions {
  const option = OPTIONS.get(name.replace(/^--/, ""));
  if (option === undefined) {
    const near = nearest(name, [...OPTIONS.keys()]);
    const instead = near === undefined ? `There are ${[...OPTIONS.keys()].join(", ")}.` : `Did you mean ${near}?`;
    throw new QuipuError("ERR_USAGE", `no setting is named ${name}. ${instead}`);
  }
  const { [option.attributeName() as Name]: _, ...others } = set;
  return value === "default" ? others : { ...others, [option.attributeName()]: parse(option, name, value) };
}

/** What is set, as fields of a request. */
export function settingsToFields(set: SamplingOptions): Record<string, unknown> {
  const entries = (Object.keys(FIELDS) as Name[]).flatMap((name) => {
    const value = set[name];
    if (value === undefined) return [];
    return [[FIELDS[name], value instanceof Map ? biasesOf(value) : value]];
  });
  return Object.fromEntries(entries);
}

/** JSON has no infinities. */
function biasesOf(biases: ReadonlyMap<number | string, number>): Record<string, unknown> {
  const entries = Array.from(biases, ([key, bias]) => [key, Number.isFinite(bias) ? bias : bias < 0 ? "-inf" : "inf"]);
  return Object.fromEntries(entries);
}

/**
 * The settings that a request has; what else is in it is left alone.
 *
 * @throws {QuipuError} ERR_USAGE that names the field.
 */
export function settingsFromFields(fields: Readonly<Record<string, unknown>>): SamplingOptions {
  let set: SamplingOptions = {};
  for (const option of OPTIONS.values()) {
    const name = option.attributeName() as Name;
    const field = FIELDS[name];
    const value = fields[field] ?? undefined;
    if (value === undefined) continue;
    let parsed: unknown;
    for (const text of textsOf(value)) parsed = parse(option, field, text, parsed);
    if (parsed !== undefined) set = { ...set, [name]: parsed };
  }
  return set;
}

/** A value of JSON, as the command line would have it: several texts for what it gives several times. */
function textsOf(value: unknown): string[] {
  if (Array.isArray(value)) return value.map(String);
  if (typeof value === "object") return Object.entries(value!).map(([key, bias]) => `${key}=${bias}`);
  return [String(value)];
}

function parse(option: Option, name: string, text: string, before?: unknown): unknown {
  if (option.parseArg === undefined) {
    if (text === "true" || text === "false") return text === "true";
    throw new QuipuError("ERR_USAGE", `${name}: expected true or false, got ${JSON.stringify(text)}`);
  }
  try {
    return option.parseArg(text, before);
  } catch (error) {
    if (!(error instanceof InvalidArgumentError)) throw error;
    throw new QuipuError(
      "ERR_USAGE",
      `${name}: ${JSON.stringify(text.slice(0, 80))} is no value of it. ${error.message}`,
    );
  }
}

function formatSetting(value: SamplingOptions[Name]): string {
  if (value === undefined) return "default";
  if (value instanceof Map) return [...value].map(([key, bias]) => `${key}=${bias}`).join(", ");
  return Array.isArray(value) ? value.map((each) => JSON.stringify(each)).join(", ") : String(value);
}
