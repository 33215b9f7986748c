// The public API of quipu-llm: exports, no code.

export { type BenchmarkOptions, type BenchmarkResult, type BenchmarkRow, runBenchmark } from "./benchmark/benchmark.js";
export {
  type LoadPlanWithSpeed as LoadPlan,
  type ModelPlan,
  type PlanOptions,
  planModel,
} from "./benchmark/plan.js";
export type { ExpectedSpeed } from "./benchmark/speed.js";
export { encodeChat } from "./chat/encode-chat.js";
export { type ChatRequest, formatChatRequest, parseChatRequest, parseJson } from "./chat/request.js";
export { ChatTemplate } from "./chat/template.js";
export { loadChatTemplate } from "./chat/template-files.js";
export {
  type CachedModel,
  type CachedRevision,
  listModels,
  type PruneModelsOptions,
  pruneModels,
  type RemovedItem,
  removeModel,
} from "./checkpoint/hub/models.js";
export { pullModel } from "./checkpoint/hub/pull.js";
export type { PulledFile, PullOptions, PullPlan, PullProgress, PullResult } from "./checkpoint/hub/pull-options.js";
export { hubCacheFolder } from "./checkpoint/hub/settings.js";
export { type PackedCorpus, type PackedFile, packCorpus } from "./data/pack.js";
export type { PackOptions } from "./data/pack-options.js";
export { openTokens, type TokenFile } from "./data/token-file.js";
export type { TokenFileInfo } from "./data/token-format.js";
export type { CudaName } from "./device/device.js";
export type { Fusion } from "./device/fusions.js";
export { EXIT_CODES, type Fitting, isQuipuError, QuipuError, type QuipuErrorCode } from "./errors.js";
export {
  type CacheEntry,
  clearCache,
  listCache,
  type PruneOptions,
  pruneCache,
} from "./generate/cache.js";
export type { Conversation } from "./generate/conversation.js";
export type * from "./generate/events.js";
export { type InspectOptions, inspectModel, type ModelReport } from "./generate/inspect.js";
export { type LoadOptions, loadModel } from "./generate/load.js";
export type { LogitsOptions, Model, ModelStats, ModelWithTokenizer, NextOptions } from "./generate/model.js";
export { modelFolder, wholeModelFolder } from "./generate/model-folder.js";
export type { CheckpointSource } from "./generate/plan.js";
export { encodePrompt, type PromptContext } from "./generate/prompt.js";
export type { StopToken } from "./generate/stop-tokens.js";
export { cacheFolder } from "./machine/cache-folder.js";
export { describeGpus, type Gpu, type Gpus } from "./machine/gpus.js";
export { describeHost, describeMachine, type Host, type Machine } from "./machine/machine.js";
export { measurePeak, measureRoofs, type Roofs } from "./machine/roofs.js";
export { type LlamaConfig, readConfig } from "./model/config.js";
export type { GenerationConfig } from "./model/generation-config.js";
export type { KvCacheType } from "./model/kv-cache.js";
export type { RopeConfig, RopeScaling } from "./model/rope-config.js";
export { ENCODING_NAMES, type EncodingName } from "./tokenizer/encoding-models.js";
export { loadEncoding } from "./tokenizer/encodings.js";
export { loadTokenizer } from "./tokenizer/load-tokenizer.js";
export type { StreamDecoder } from "./tokenizer/stream-decoder.js";
export type {
  BatchOptions,
  DecodeOptions,
  EncodeOptions,
  SpecialText,
  StreamDecoderOptions,
  StreamOptions,
  Text,
  TokenizedText,
  Tokenizer,
} from "./tokenizer/tokenizer.js";
export {
  type SaveOptions,
  type TrainedTokenizer,
  type TrainTokenizerOptions,
  trainTokenizer,
} from "./tokenizer/train.js";
export type { TrainingEvent, TrainingStep } from "./train/events.js";
export { trainingReport } from "./train/report.js";
export { trainModel } from "./train/train.js";
export type { TrainOptions } from "./train/training-options.js";
export type { ModelWarning, Warn, WarningCode } from "./warnings.js";
