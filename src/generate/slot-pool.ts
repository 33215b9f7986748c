// Which sequence slots of a model are in use. A request that finds none free waits in line. Where nobody takes the events of the
// generations that hold the slots, that wait may never end: after some patience it is refused, and the error names them.
import { abortedError, QuipuError } from "../errors.js";

/** A slot while a request holds it. */
export interface Lease {
  readonly slot: number;
  /** Idle: nothing happens before the consumer asks for the next event. */
  setIdle(idle: boolean): void;
  /** A second call does nothing. */
  release(): void;
}

interface Holder {
  readonly describe: () => string;
  idle: boolean;
}

interface Waiting {
  readonly describe: () => string;
  give(lease: Lease): void;
  refuse(error: QuipuError): void;
}

/** The longest that a timer can run. */
const LONGEST = 2 ** 31 - 1;

export class SlotPool {
  readonly #free: number[];
  readonly #held = new Map<number, Holder>();
  readonly #waiting = new Set<Waiting>(); // in the order of their coming
  readonly #patience: number;
  #timer: NodeJS.Timeout | undefined; // runs while requests wait and every holder is idle
  #closed = false;

  /** @param patience milliseconds that requests wait while every holder is idle; Infinity: without end. */
  constructor(slots: number, patience: number) {
    this.#free = Array.from({ length: slots }, (_, slot) => slots - 1 - slot);
    this.#patience = patience;
  }

  /**
   * @param describe says which request holds the slot, in the errors of others.
   * @throws {QuipuError} ERR_ABORTED when `signal` ends the wait, ERR_DISPOSED when close() does, ERR_BUSY.
   */
  async acquire(describe: () => string, signal?: AbortSignal): Promise<Lease> {
    if (this.#closed) throw closedError();
    if (signal?.aborted) throw abortedError(signal);
    const free = this.#free.pop();
    if (free !== undefined) return this.#lease(free, describe);
    return new Promise((resolve, reject) => {
      const leave = () => {
        this.#waiting.delete(waiting);
        signal?.removeEventListener("abort", abort);
      };
      const waiting: Waiting = {
        describe,
        give(lease) {
          leave();
          resolve(lease);
        },
        refuse(error) {
          leave();
          reject(error);
        },
      };
      const abort = () => {
        waiting.refuse(abortedError(signal!));
        this.#watch();
      };
      this.#waiting.add(waiting);
      signal?.addEventListener("abort", abort);
      this.#watch();
    });
  }

  /** Rejects all waiters and every later acquire(). */
  close(): void {
    this.#closed = true;
    this.#refuse(closedError);
  }

  #lease(slot: number, describe: () => string): Lease {
    const holder: Holder = { describe, idle: false };
    this.#held.set(slot, holder);
    return {
      slot,
      setIdle: (idle) => {
        holder.idle = idle;
        if (this.#waiting.size > 0) this.#watch();
      },
      release: () => {
        if (this.#held.get(slot) !== holder) return;
        this.#held.delete(slot);
        const [next] = this.#waiting;
        if (next === undefined) this.#free.push(slot);
        else next.give(this.#lease(slot, next.describe));
        this.#watch();
      },
    };
  }

  /** Starts or stops the timer: any sign of life of a holder begins the wait anew. */
  #watch(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const stuck = this.#waiting.size > 0 && [...this.#held.values()].every(({ idle }) => idle);
    if (!stuck || this.#patience === Number.POSITIVE_INFINITY) return;
    this.#timer = setTimeout(() => this.#refuse(() => this.#busyError()), Math.min(this.#patience, LONGEST));
  }

  #refuse(error: () => QuipuError): void {
    for (const waiting of [...this.#waiting]) waiting.refuse(error());
    this.#watch();
  }

  #busyError(): QuipuError {
    const holders = [...this.#held.values()].map(({ describe }) => describe());
    const others = holders.length > 3 ? ` and ${holders.length - 3} more` : "";
    const [holds, it] = holders.length === 1 ? ["the only slot is held by", "it"] : ["all slots are held by", "them"];
    return new QuipuError(
      "ERR_BUSY",
      `${holds} ${holders.slice(0, 3).join("; ")}${others}, and nobody asks ${it} for the next event. ` +
        "Take a generation's events to their end, leave its loop, or call its return(); more slots let several run at once.",
      { option: "slots" },
    );
  }
}

function closedError(): QuipuError {
  return new QuipuError("ERR_DISPOSED", "the model is disposed");
}
