// The public encodings, and which of them a model of OpenAI's uses, as tiktoken 0.14 has it (openai/tiktoken, tiktoken/model.py);
// scripts/prove-tokenizer.sh compares the two.

const NAMES = ["cl100k_base", "gpt2", "o200k_base", "o200k_harmony", "p50k_base", "p50k_edit", "r50k_base"] as const;

export type EncodingName = (typeof NAMES)[number];

export const ENCODING_NAMES: readonly EncodingName[] = NAMES;

const MODELS: Readonly<Record<EncodingName, readonly string[]>> = {
  cl100k_base: [
    ...["gpt-4", "gpt-3.5-turbo", "gpt-3.5", "gpt-35-turbo", "davinci-002", "babbage-002"],
    ...["text-embedding-ada-002", "text-embedding-3-small", "text-embedding-3-large"],
  ],
  gpt2: ["gpt2", "gpt-2"],
  o200k_base: ["o1", "o3", "o4-mini", "gpt-5", "gpt-4.1", "gpt-4o"],
  o200k_harmony: [],
  p50k_base: [
    ...["text-davinci-003", "text-davinci-002", "code-davinci-002", "code-davinci-001"],
    ...["code-cushman-002", "code-cushman-001", "davinci-codex", "cushman-codex"],
  ],
  p50k_edit: ["text-davinci-edit-001", "code-davinci-edit-001"],
  r50k_base: [
    ...["davinci", "curie", "babbage", "ada"].flatMap((name) => [
      name,
      `text-${name}-001`,
      `text-similarity-${name}-001`,
    ]),
    ...["davinci", "curie", "babbage", "ada"].map((name) => `text-search-${name}-doc-001`),
    ...["code-search-babbage-code-001", "code-search-ada-code-001"],
  ],
};

/** Beginnings of the names of other models: the first that fits counts. */
const PREFIXES: readonly (readonly [string, EncodingName])[] = [
  ...["o1-", "o3-", "o4-mini-", "gpt-5", "gpt-4.5-", "gpt-4.1-", "chatgpt-4o-", "gpt-4o-"].map(
    (prefix) => [prefix, "o200k_base"] as const,
  ),
  ...["gpt-4-", "gpt-3.5-turbo-", "gpt-35-turbo-"].map((prefix) => [prefix, "cl100k_base"] as const),
  ["gpt-oss-", "o200k_harmony"],
  ["ft:gpt-4o", "o200k_base"],
  ...["ft:gpt-4", "ft:gpt-3.5-turbo", "ft:davinci-002", "ft:babbage-002"].map(
    (prefix) => [prefix, "cl100k_base"] as const,
  ),
];

const NAMED = new Map(
  Object.entries(MODELS).flatMap(([encoding, models]) => models.map((model) => [model, encoding as EncodingName])),
);

/** Models that are known by their own names. */
export const ENCODED_MODELS = [...NAMED.keys()];

/** The encoding of a model, also of one that is called after a known one; undefined for others. */
export function encodingOfModel(model: string): EncodingName | undefined {
  return NAMED.get(model) ?? byPrefix(model);
}

function byPrefix(model: string): EncodingName | undefined {
  return PREFIXES.find(([prefix]) => model.startsWith(prefix))?.[1];
}
