// What a folder that is no checkpoint of ours holds in its place: other forms of a model, and parts of one.
import { readdirSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { shownName } from "../warnings.js";
import { readJsonFile } from "./json.js";
import { GGUF_HINT } from "./wrong-file.js";

export const ADAPTER_CONFIG = "adapter_config.json";

const FETCH = "quipu reads safetensors: fetch that form of the checkpoint";

/** What browsers, curl, aria2 and huggingface_hub call a file that is on its way. */
const PARTIAL = /\.(incomplete|part|partial|crdownload|download|aria2|tmp)$/;
/** What training leaves beside the weights. */
const OF_TRAINING = /^(training_args|optimizer|scheduler|scaler|rng_state)/;

const FORMS: readonly (readonly [names: RegExp, problem: string])[] = [
  [/\.gguf$/, `a GGUF file. ${GGUF_HINT}`],
  [
    /^(consolidated\.\d+\.pth|consolidated\.safetensors|params\.json)$/,
    `the original form of Meta or Mistral. ${FETCH} (config.json and model*.safetensors)`,
  ],
  [/\.(bin|pt|pth|ckpt|pkl)$/, `weights as PyTorch pickles them. ${FETCH}`],
  [/(\.h5|\.pb|\.ckpt\.index|\.tflite)$/, `weights of TensorFlow. ${FETCH}`],
  [/\.msgpack$/, `weights of Flax. ${FETCH}`],
  [/\.onnx(_data)?$/, `a model for ONNX. ${FETCH}`],
  [/\.npz$/, `weights of MLX. ${FETCH}`],
];

/** "there is X: what it is, what to do"; undefined where no name in the folder says anything. */
export async function otherForm(dir: string, names: readonly string[]): Promise<string | undefined> {
  const adapter = names.find((name) => name === ADAPTER_CONFIG || /^adapter_model\.(safetensors|bin)$/.test(name));
  if (adapter !== undefined) {
    const config = names.includes(ADAPTER_CONFIG)
      ? await readJsonFile(join(dir, ADAPTER_CONFIG), "ERR_MODEL_INVALID")
      : undefined;
    const base = config?.base_model_name_or_path;
    const of = typeof base === "string" && base !== "" ? ` of ${shownName(base)}` : "";
    return `there is ${adapter}: a LoRA adapter${of} alone, which quipu does not apply. Give the folder of the base model, or of one with the adapter merged into it`;
  }
  const partial = partialDownload(dir, names);
  if (partial !== undefined) return partial;
  const form = formOf(names);
  return form === undefined ? undefined : `there is ${form}`;
}

/** "X: what it is, what to do", of names alone; undefined where none says anything. */
export function formOf(names: readonly string[]): string | undefined {
  const weights = names.filter((name) => !OF_TRAINING.test(name)).sort();
  for (const [pattern, problem] of FORMS) {
    const name = weights.find((candidate) => pattern.test(candidate));
    if (name !== undefined) return `${shownName(name)}: ${problem}`;
  }
  return undefined;
}

/** "there is X: the download is incomplete"; undefined where no name in the folder, or where the hub's client keeps parts, says so. */
export function partialDownload(dir: string, names: readonly string[]): string | undefined {
  const folders = [join(dir, ".cache", "huggingface", "download"), ...blobsOf(dir)];
  const all = [...names, ...folders.flatMap((folder) => listed(folder).map((name) => join(folder, name)))];
  const name = all.sort().find((candidate) => PARTIAL.test(candidate));
  return name === undefined ? undefined : `there is ${name}: the download is incomplete. Fetch the rest`;
}

/** Of a snapshot in the hub's cache. */
function blobsOf(dir: string): string[] {
  const snapshots = dirname(resolve(dir));
  return basename(snapshots) === "snapshots" ? [join(dirname(snapshots), "blobs")] : [];
}

/** Nothing for a folder that is not there, or cannot be read: it is only looked at for a hint. */
function listed(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
