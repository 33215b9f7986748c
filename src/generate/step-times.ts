// What steps cost by the device's clock: how many rows of a prompt a step takes beside sequences that decode, how large steps
// are, and how long the device stands still between them.
import type { RunResult } from "../device/device.js";

/** Rows of a prompt that every step has room for, whatever it costs. */
export const LEAST_PROMPT_ROWS = 8;

/**
 * Milliseconds of steps that are queued ahead: as long as a thread may wait for a processor that others use (3 of Linux's scheduler), or V8
 * collect its young garbage, and too short to be noticed by who aborts.
 */
const AHEAD_MS = 4;

/** With fewer the device waits for the host after every step; more are not needed where they are short. */
const [LEAST_AHEAD, MOST_AHEAD] = [2, 64];

/** Milliseconds of decoding after which what was before counts half. */
const IDLE_MS = 1000;

/** The weight of the newest figure in a mean that follows the machine's load. */
const NEWEST = 0.2;

export interface StepTime extends Pick<RunResult, "started" | "ended" | "idle"> {
  readonly promptRows: number;
  readonly decodeRows: number;
  /** Each of its rows had its logits read: no row of a prompt costs as much. */
  readonly withLogits: boolean;
}

export class StepTimes {
  #decodeStep: number | undefined; // milliseconds of a step that only decodes
  #promptRow: number | undefined; // milliseconds that a row of a prompt adds
  #steps = 0;
  #rows = 0;
  #idle = 0;
  #decoding = 0;
  #paused = true;

  observe({ promptRows, decodeRows, withLogits, started, ended, idle }: StepTime): void {
    const time = ended - started;
    if (promptRows === 0) this.#decodeStep = mean(this.#decodeStep, time);
    if (promptRows >= LEAST_PROMPT_ROWS && !withLogits) {
      const decode = decodeRows > 0 ? (this.#decodeStep ?? 0) : 0;
      this.#promptRow = mean(this.#promptRow, Math.max(time - decode, 0) / promptRows);
    }
    this.#steps += 1;
    this.#rows += promptRows + decodeRows;
    if (promptRows === 0 && !this.#paused) {
      this.#idle += idle;
      this.#decoding += idle + time;
      if (this.#decoding > 2 * IDLE_MS) {
        this.#idle /= 2;
        this.#decoding /= 2;
      }
    }
    this.#paused = false;
  }

  /** No sequence runs: that the device stands still now says nothing. */
  pause(): void {
    this.#paused = true;
  }

  /** Rows of prompts that about double the time of a step in which others decode. */
  promptRows(): number {
    if (this.#decodeStep === undefined || this.#promptRow === undefined) return LEAST_PROMPT_ROWS;
    return Math.max(LEAST_PROMPT_ROWS, Math.floor(this.#decodeStep / this.#promptRow));
  }

  /** Steps that only decode and are queued ahead of what the host has seen: two, or as many as take four milliseconds. */
  get ahead(): number {
    if (this.#decodeStep === undefined) return LEAST_AHEAD;
    return Math.min(MOST_AHEAD, Math.max(LEAST_AHEAD, Math.ceil(AHEAD_MS / this.#decodeStep)));
  }

  /** Mean rows of a step; 0 before the first. */
  get rowsPerStep(): number {
    return this.#steps === 0 ? 0 : this.#rows / this.#steps;
  }

  /** Of the time from step to decode step, in the last seconds of decoding, the share in which the device had nothing to do. */
  get idleShare(): number {
    return this.#decoding === 0 ? 0 : this.#idle / this.#decoding;
  }
}

function mean(before: number | undefined, newest: number): number {
  return before === undefined ? newest : before + NEWEST * (newest - before);
}
