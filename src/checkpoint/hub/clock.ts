// Time, where something waits: tests give another.
import { setTimeout as delay } from "node:timers/promises";
import { abortedError } from "../../errors.js";

export interface Clock {
  /** Milliseconds since 1970. */
  now(): number;
  /** @throws {QuipuError} ERR_ABORTED */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

export const SYSTEM_CLOCK: Clock = {
  now: () => Date.now(),
  sleep: async (ms, signal) => {
    try {
      await delay(ms, undefined, signal === undefined ? {} : { signal });
    } catch (error) {
      throw signal?.aborted ? abortedError(signal) : error;
    }
  },
};
