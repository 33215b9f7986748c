// What is said about a model that loads all the same: something in its files is ignored, or one of two was chosen.

/** Stable across versions. What each means is in docs/cli.md, "Warnings". */
export type WarningCode =
  /** Tensors that no module of the model computes with. */
  | "WARN_EXTRA_TENSORS"
  /** model.safetensors.index.json and the shards say different things; the shards count. */
  | "WARN_INDEX_MISMATCH"
  /** A tensor is in two shards; the later counts. */
  | "WARN_TENSOR_TWICE"
  /** config.json ties the head to the embedding, and another head is stored; that is used. */
  | "WARN_STORED_HEAD"
  /** There is more than one set of weights; one was chosen. */
  | "WARN_WEIGHTS_CHOSEN"
  /** A LoRA adapter lies beside the weights; it is not applied. */
  | "WARN_ADAPTER_IGNORED"
  /** A field of config.json or generation_config.json means nothing here, and is ignored. */
  | "WARN_CONFIG_IGNORED"
  /** A JSON object has a name twice; the last counts. */
  | "WARN_JSON_NAME_TWICE"
  /** The folder is of the hub's cache; one of its snapshots was chosen. */
  | "WARN_SNAPSHOT_CHOSEN"
  /** The files of the tokenizer cannot be used: only what works on ids does. */
  | "WARN_TOKENIZER_UNUSABLE"
  /** A chat template cannot be used. */
  | "WARN_CHAT_TEMPLATE_UNUSABLE"
  /** A file of packed weights is damaged; it is made anew. */
  | "WARN_CACHE_DAMAGED"
  /** Packed weights cannot be kept in the cache folder; they are packed at every load. */
  | "WARN_CACHE_UNUSABLE"
  /** A training could not take a sample of what the model writes; it goes on. */
  | "WARN_SAMPLE_FAILED";

export interface ModelWarning {
  readonly code: WarningCode;
  /** One line. */
  readonly message: string;
}

/** Told of each warning as it arises. */
export type Warn = (code: WarningCode, message: string) => void;

/** Keeps warnings in a list, each once: several readers open the same file. */
export function collectWarnings(onWarning?: (warning: ModelWarning) => void): { warnings: ModelWarning[]; warn: Warn } {
  const warnings: ModelWarning[] = [];
  const warn: Warn = (code, message) => {
    if (warnings.some((known) => known.code === code && known.message === message)) return;
    warnings.push({ code, message });
    onWarning?.({ code, message });
  };
  return { warnings, warn };
}

/** A name from a file that is not trusted, in one line of a message: escaped and cut. */
export function shownName(name: string): string {
  return JSON.stringify(name).slice(1, -1).slice(0, 200);
}

/** "a, b, c and 5 more": the first few of many names. */
export function firstOf(names: readonly string[], count = 3): string {
  const shown = names.slice(0, count).map(shownName);
  const more = names.length - shown.length;
  return more > 0 ? `${shown.join(", ")} and ${more} more` : shown.join(", ");
}
