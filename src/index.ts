// The public API of quipu-llm: exports, no code.
export { EXIT_CODES, isQuipuError, QuipuError, type QuipuErrorCode } from "./errors.js";
export type * from "./generate/events.js";
export { type LoadOptions, loadModel, type Model, type ModelStats, modelFolder } from "./generate/model.js";
export type { LlamaConfig, RopeConfig } from "./model/config.js";
export type { GenerationConfig } from "./model/generation-config.js";
export type { KvCacheType } from "./model/kv-cache.js";
export { loadTokenizer, type Tokenizer } from "./tokenizer/tokenizer.js";
