// Whether two tensors of a checkpoint are the same, by their bytes, read a piece at a time.
import { abortedError, QuipuError } from "../errors.js";
import type { Checkpoint, CheckpointTensor } from "./checkpoint.js";
import { type OpenedFile, openFile, readAt } from "./file.js";

const PIECE = 2 ** 20;
const CODE = "ERR_MODEL_INVALID";

/**
 * Of the same dtype and shape and with the same bytes.
 *
 * @throws {QuipuError} ERR_MODEL_INVALID where a file cannot be read, ERR_ABORTED.
 */
export async function sameContents(
  checkpoint: Checkpoint,
  a: CheckpointTensor,
  b: CheckpointTensor,
  signal?: AbortSignal,
): Promise<boolean> {
  if (a.dtype !== b.dtype || a.shape.join() !== b.shape.join()) return false;
  const first = await reopen(checkpoint, a);
  try {
    const second = await reopen(checkpoint, b);
    try {
      for (let at = 0; at < a.bytes; at += PIECE) {
        if (signal?.aborted) throw abortedError(signal);
        const length = Math.min(PIECE, a.bytes - at);
        const [one, other] = await Promise.all([
          readAt(first.path, first.file, a.offset + at, length, CODE),
          readAt(second.path, second.file, b.offset + at, length, CODE),
        ]);
        if (!one.equals(other)) return false;
      }
      return true;
    } finally {
      await second.file.close();
    }
  } finally {
    await first.file.close();
  }
}

async function reopen({ files }: Checkpoint, tensor: CheckpointTensor): Promise<OpenedFile & { path: string }> {
  const { path } = files[tensor.file]!;
  const opened = await openFile(path, CODE);
  if (opened === undefined) throw new QuipuError(CODE, `${path}: is gone since it was opened`);
  return { ...opened, path };
}
