// What the host writes for a step: ids, slots and positions of its rows, and which rows are wanted. What a run has written stays, so
// a step like one that has run, or like its beginning, writes nothing: most decode steps do not.
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

/**
 * A queued run may never start (it is cancelled, or its memory is refused), so nothing is relied on before a run that wrote it has
 * ended well; from then on other rows are what makes it uncertain again, as a run of theirs may start or not.
 */
export class StepWrites {
  /** rowIds, rowSlots and rowPositions [T]; outputRows [R], which a step that only fills has not. */
  readonly tensors: readonly Tensor[];
  readonly #arrays: readonly Int32Array[]; // of the newest contents
  #rows = 0; // how many there are of them
  #wanted = 0;
  #contents = 0; // counts how often they have changed
  #isThere = false;

  constructor(tensors: readonly Tensor[]) {
    this.tensors = tensors;
    this.#arrays = tensors.map(({ shape }) => new Int32Array(shape[0]!));
  }

  /** What a run of `rows`, some of them `wanted`, must write; it is queued at once. {@link landed} is told when it has ended well. */
  write(
    rows: readonly Row[],
    wanted: readonly number[],
  ): { readonly transfers: Transfer[]; readonly contents: number } {
    const isSame = this.#begins(rows, wanted);
    if (isSame && this.#isThere) return { transfers: [], contents: this.#contents };
    if (!isSame || rows.length !== this.#rows || wanted.length !== this.#wanted) this.#change(rows, wanted);
    const transfers = this.tensors.map((tensor, i): Transfer => {
      return [tensor, this.#arrays[i]!.subarray(0, i < 3 ? this.#rows : this.#wanted)];
    });
    return { transfers, contents: this.#contents };
  }

  /** A run with these contents has ended well. */
  landed(contents: number): void {
    if (contents === this.#contents) this.#isThere = true;
  }

  #change(rows: readonly Row[], wanted: readonly number[]): void {
    const [ids, slots, positions, outputRows] = this.#arrays as [Int32Array, Int32Array, Int32Array, Int32Array?];
    for (let t = 0; t < rows.length; t++) {
      const { id = 0, slot, position = -1 } = rows[t]!;
      ids[t] = id;
      slots[t] = slot;
      positions[t] = position;
    }
    outputRows?.set(wanted);
    [this.#rows, this.#wanted] = [rows.length, wanted.length];
    this.#contents += 1;
    this.#isThere = false;
  }

  /** Whether the newest contents begin with these. */
  #begins(rows: readonly Row[], wanted: readonly number[]): boolean {
    if (rows.length > this.#rows || wanted.length > this.#wanted) return false;
    const [ids, slots, positions, outputRows] = this.#arrays as [Int32Array, Int32Array, Int32Array, Int32Array?];
    for (let t = 0; t < rows.length; t++) {
      const { id = 0, slot, position = -1 } = rows[t]!;
      if (ids[t] !== id || slots[t] !== slot || positions[t] !== position) return false;
    }
    for (let i = 0; i < wanted.length; i++) if (outputRows![i] !== wanted[i]) return false;
    return true;
  }
}
