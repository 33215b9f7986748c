// Which sequence slots of a model are in use; who finds none free waits in line.
import { abortedError, QuipuError } from "../errors.js";

interface Waiting {
  give(slot: number): void;
  refuse(error: QuipuError): void;
}

export class SlotPool {
  readonly #free: number[];
  readonly #waiting = new Set<Waiting>(); // in the order of their coming
  #closed = false;

  constructor(slots: number) {
    this.#free = Array.from({ length: slots }, (_, slot) => slots - 1 - slot);
  }

  /** @throws {QuipuError} ERR_ABORTED when `signal` ends the wait, ERR_DISPOSED when close() does. */
  async acquire(signal?: AbortSignal): Promise<number> {
    if (this.#closed) throw closedError();
    if (signal?.aborted) throw abortedError(signal);
    const free = this.#free.pop();
    if (free !== undefined) return free;
    return new Promise((resolve, reject) => {
      const leave = () => {
        this.#waiting.delete(waiting);
        signal?.removeEventListener("abort", abort);
      };
      const waiting: Waiting = {
        give(slot) {
          leave();
          resolve(slot);
        },
        refuse(error) {
          leave();
          reject(error);
        },
      };
      const abort = () => waiting.refuse(abortedError(signal!));
      this.#waiting.add(waiting);
      signal?.addEventListener("abort", abort);
    });
  }

  release(slot: number): void {
    const [next] = this.#waiting;
    if (next === undefined) this.#free.push(slot);
    else next.give(slot);
  }

  /** Sends everybody away who waits, and who comes. */
  close(): void {
    this.#closed = true;
    for (const waiting of [...this.#waiting]) waiting.refuse(closedError());
  }
}

function closedError(): QuipuError {
  return new QuipuError("ERR_DISPOSED", "the model is disposed");
}
