// Hands texts to the native counter in batches, a few of them in flight at a time.

import { fromNative } from "../../addon/addon.js";
import type { NativeTokenizerTrainer } from "../../addon/addon-types.js";
import { incompleteEnd } from "../../utf8.js";

const BATCH = 2 ** 20;

export class BatchCounter {
  readonly #native: NativeTokenizerTrainer;
  readonly #most: number;
  readonly #bytes = Buffer.allocUnsafe(BATCH);
  readonly #flights = new Set<Promise<void>>();
  #used = 0;
  #ends: number[] = [];
  #failure: unknown;

  constructor(native: NativeTokenizerTrainer, threads: number) {
    this.#native = native;
    this.#most = threads + 2;
  }

  /** Takes a text, or a part of one that is cut where a piece ends. @returns its bytes. */
  async add(text: string | Uint8Array): Promise<number> {
    // A UTF-16 unit takes at most three bytes.
    if (typeof text === "string" && text.length * 3 <= BATCH) {
      if (text.length * 3 > BATCH - this.#used) await this.flush();
      const bytes = this.#bytes.write(text, this.#used);
      this.#used += bytes;
      this.#ends.push(this.#used);
      return bytes;
    }
    await this.flush();
    const whole = typeof text === "string" ? Buffer.from(text) : text;
    let rest = whole;
    for (let wanted = BATCH; rest.length > wanted; ) {
      const part = rest.subarray(0, wanted);
      const end = this.#native.cut(part.subarray(0, wanted - incompleteEnd(part)));
      if (end === 0) wanted *= 2;
      else {
        await this.#send(rest.subarray(0, end), [end]);
        rest = rest.subarray(end);
        wanted = BATCH;
      }
    }
    await this.#send(rest, [rest.length]);
    return whole.length;
  }

  /** Hands over what has been gathered. @throws what a batch before it met. */
  async flush(): Promise<void> {
    if (this.#ends.length === 0) return;
    const ends = this.#ends;
    const used = this.#used;
    this.#ends = [];
    this.#used = 0;
    await this.#send(this.#bytes.subarray(0, used), ends);
  }

  /** Waits until everything is counted. */
  async drain(): Promise<void> {
    await this.flush();
    while (this.#flights.size > 0) await Promise.race(this.#flights);
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Waits until no batch is in flight, whether it failed or not. */
  async settle(): Promise<void> {
    await Promise.all(this.#flights);
  }

  async #send(bytes: Uint8Array, ends: readonly number[]): Promise<void> {
    while (this.#flights.size >= this.#most) await Promise.race(this.#flights);
    if (this.#failure !== undefined) throw this.#failure;
    const flight = this.#native
      .count(bytes, Uint32Array.from(ends))
      .catch((error: unknown) => {
        this.#failure ??= fromNative(error, "memory");
      })
      .finally(() => this.#flights.delete(flight));
    this.#flights.add(flight);
  }
}
