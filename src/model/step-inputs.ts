// What the host writes for a step: ids, slots and positions of its rows, and which rows are wanted. What a run has written stays, so
// a step like the one before, or like its beginning, writes nothing: most decode steps do not.
import type { Transfer } from "../device/device.js";
import type { Tensor } from "../device/tensor.js";

/**
 * One row of a step: this id, at this position of this slot's sequence. Without them it is what the last step has sampled for the slot,
 * or padding where the slot has ended.
 */
export interface Row {
  readonly slot: number;
  readonly id?: number;
  readonly position?: number;
}

/** Tensors of equal length, and what they hold, of which that is certain of the first `known` rows. */
class Columns {
  readonly arrays: readonly Int32Array[];
  known = 0;
  readonly #tensors: readonly Tensor[];

  constructor(tensors: readonly Tensor[]) {
    this.#tensors = tensors;
    this.arrays = tensors.map(({ shape }) => new Int32Array(shape[0]!));
  }

  /** The first `length` rows of the arrays, which a run is to write. */
  write(length: number): Transfer[] {
    return this.#tensors.map((tensor, i) => [tensor, this.arrays[i]!.subarray(0, length)]);
  }
}

export class StepInputs {
  /** rowIds, rowSlots and rowPositions [T]; outputRows [R], which a step that only fills has not. */
  readonly tensors: readonly Tensor[];
  readonly #rows: Columns;
  readonly #wanted: Columns;
  #writer: AbortSignal | undefined; // of the last run: aborted, it may have ended that before it wrote

  constructor(tensors: readonly Tensor[]) {
    this.tensors = [...tensors];
    this.#rows = new Columns(tensors.slice(0, 3));
    this.#wanted = new Columns(tensors.slice(3));
  }

  /** What a run of `rows`, some of them `wanted`, must write. It is queued at once, with this signal. */
  write(rows: readonly Row[], wanted: readonly number[], signal: AbortSignal | undefined): Transfer[] {
    if (this.#writer?.aborted) this.forget();
    this.#writer = signal;
    if (this.#holdsRows(rows) && this.#holdsWanted(wanted)) return [];
    const [ids, slots, positions] = this.#rows.arrays as [Int32Array, Int32Array, Int32Array];
    for (let t = 0; t < rows.length; t++) {
      const { id = 0, slot, position = -1 } = rows[t]!;
      ids[t] = id;
      slots[t] = slot;
      positions[t] = position;
    }
    this.#wanted.arrays[0]?.set(wanted);
    // A run that is cancelled before it starts writes nothing, and others may be queued behind it by then. It is cancelled when all
    // its sequences are over, so a row that it should have written is of none that goes on. Which rows are wanted is no sequence's:
    // what is relied on is of the last run that wrote, whose first row is the one here too.
    this.#rows.known = Math.max(this.#rows.known, rows.length);
    this.#wanted.known = wanted.length;
    return [...this.#rows.write(rows.length), ...this.#wanted.write(wanted.length)];
  }

  /** The last run may not have come so far as to write. */
  forget(): void {
    this.#rows.known = 0;
    this.#wanted.known = 0;
  }

  #holdsRows(rows: readonly Row[]): boolean {
    const { known, arrays } = this.#rows;
    if (rows.length > known) return false;
    const [ids, slots, positions] = arrays as [Int32Array, Int32Array, Int32Array];
    for (let t = 0; t < rows.length; t++) {
      const { id = 0, slot, position = -1 } = rows[t]!;
      if (ids[t] !== id || slots[t] !== slot || positions[t] !== position) return false;
    }
    return true;
  }

  #holdsWanted(wanted: readonly number[]): boolean {
    const { known, arrays } = this.#wanted;
    if (wanted.length > known) return false;
    const [outputRows] = arrays;
    for (let i = 0; i < wanted.length; i++) if (outputRows![i] !== wanted[i]) return false;
    return true;
  }
}
