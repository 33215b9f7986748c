// What keeps a few bad steps from spoiling a run: gradients that are no numbers, or far larger than those before, are left out.
import { QuipuError } from "../errors.js";
import type { StepResult } from "./training-runtime.js";

export interface GuardState {
  /** Steps that were not left out. */
  readonly steps: number;
  /** Of their gradients' norms, later ones weighing more. */
  readonly meanNorm: number;
  /** Steps left out one after another, up to now. */
  readonly skipped: number;
}

/** Of the norms of late: the mean is of about the last fifty. */
const WEIGHT = 0.02;
/** Until the mean is one. */
const LEAST_STEPS = 20;
/** Of the mean: what is above it is a spike. */
const SPIKE = 10;

export class Guard {
  readonly #most: number;
  #state: GuardState;

  /** @param most steps that may be left out one after another. */
  constructor(most: number, state: GuardState = { steps: 0, meanNorm: 0, skipped: 0 }) {
    this.#most = most;
    this.#state = state;
  }

  get state(): GuardState {
    return this.#state;
  }

  /** A norm above it leaves the step out. */
  get skipAbove(): number {
    const { steps, meanNorm } = this.#state;
    return steps < LEAST_STEPS ? Number.POSITIVE_INFINITY : SPIKE * meanNorm;
  }

  note({ gradientNorm, skipped }: Pick<StepResult, "gradientNorm" | "skipped">): void {
    const { steps, meanNorm } = this.#state;
    if (!skipped) {
      const weight = Math.max(WEIGHT, 1 / (steps + 1));
      this.#state = { steps: steps + 1, meanNorm: meanNorm + weight * (gradientNorm - meanNorm), skipped: 0 };
      return;
    }
    this.#state = { steps, meanNorm, skipped: this.#state.skipped + 1 };
  }

  /**
   * @param last the step that was noted last.
   * @throws {QuipuError} ERR_NOT_A_NUMBER where too many were left out one after another.
   */
  check({ step, loss, gradientNorm }: StepResult & { readonly step: number }): void {
    const { meanNorm, skipped } = this.#state;
    if (skipped < this.#most) return;
    const number = (value: number) => (Number.isFinite(value) ? value.toPrecision(4) : String(value));
    throw new QuipuError(
      "ERR_NOT_A_NUMBER",
      `step ${step}: ${this.#most} steps one after another were left out: loss ${number(loss)}, norm of the gradient ${number(gradientNorm)}, of those before ${number(meanNorm)}. Begin a run with another output and a lower rate from the last checkpoint of this one (init: its folder), or look at the data.`,
      { option: "init" },
    );
  }
}
