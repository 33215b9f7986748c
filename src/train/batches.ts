// Documents to batches: one after another until a batch is full, in a shuffled order that goes on for ever, each document once a pass.
import type { TokenFile } from "../data/token-file.js";
import { Permutation } from "./permutation.js";
import type { TrainingBatch } from "./training-runtime.js";

export interface BatchShape {
  /** Rows of a batch. */
  readonly batchTokens: number;
  /** Documents of a batch. */
  readonly maxDocuments: number;
  /** Rows of a document; a longer one is split. */
  readonly sequence: number;
}

/** Where in the corpus the next batch begins. */
export interface BatchPosition {
  /** Passes that are over. */
  readonly epoch: number;
  /** Documents of this pass that are over. */
  readonly document: number;
  /** Rows of the next document that are over. */
  readonly row: number;
}

/** What batches had so far. */
export interface BatchCounts {
  /** Rows with a target. */
  readonly tokens: number;
  /** Documents longer than a sequence. */
  readonly longDocuments: number;
}

export const BEGINNING: BatchPosition = { epoch: 0, document: 0, row: 0 };

/** What is left of a document: tokens [start, end) of the file, whose rows are token → next token. What a batch takes is read, no more. */
interface OpenDocument {
  readonly start: number;
  readonly end: number;
  row: number;
}

export class BatchReader {
  readonly #file: TokenFile;
  readonly #shape: BatchShape;
  readonly #seed: number;
  #epoch: number;
  #document: number;
  #order: Permutation;
  #open: OpenDocument | undefined;
  #row: number;

  /** @param position as {@link position} gave it, so that batches go on as they would have. */
  constructor(file: TokenFile, shape: BatchShape, seed: number, position: BatchPosition = BEGINNING) {
    this.#file = file;
    this.#shape = shape;
    this.#seed = seed;
    this.#epoch = position.epoch;
    this.#document = position.document;
    this.#row = position.row;
    this.#order = new Permutation(file.info.documents, seed, position.epoch);
  }

  get position(): BatchPosition {
    return { epoch: this.#epoch, document: this.#document, row: this.#open?.row ?? this.#row };
  }

  /** The next batch; every row is used, but where there are too many documents. */
  async next(): Promise<{ readonly batch: TrainingBatch; readonly counts: BatchCounts }> {
    const { batchTokens, maxDocuments, sequence } = this.#shape;
    const rows = new BatchRows(batchTokens);
    let longDocuments = 0;
    for (let slot = 0; slot < maxDocuments && rows.length < batchTokens; slot++) {
      const open = await this.#current();
      const last = open.end - open.start - 1;
      const length = Math.min(sequence, last - open.row, batchTokens - rows.length);
      const first = open.start + open.row;
      rows.add(await this.#file.tokens(first, first + length + 1), slot);
      open.row += length;
      if (open.row < last) continue;
      if (last > sequence) longDocuments += 1;
      this.#advance();
    }
    return { batch: rows.batch(), counts: { tokens: rows.length, longDocuments } };
  }

  /** The document that the next row is of; one of a single token has none. */
  async #current(): Promise<OpenDocument> {
    while (this.#open === undefined) {
      const [start, end] = await this.#file.starts(this.#order.at(this.#document), 1);
      if (end! - start! > 1) this.#open = { start: start!, end: end!, row: this.#row };
      else this.#advance();
    }
    return this.#open;
  }

  #advance(): void {
    this.#open = undefined;
    this.#row = 0;
    this.#document += 1;
    if (this.#document < this.#file.info.documents) return;
    this.#document = 0;
    this.#epoch += 1;
    this.#order = new Permutation(this.#file.info.documents, this.#seed, this.#epoch);
  }
}

/** All documents once, in their order, up to a number of tokens: what is measured is the same each time. */
export async function* evaluationBatches(
  file: TokenFile,
  shape: BatchShape,
  most: number,
): AsyncGenerator<TrainingBatch> {
  const { batchTokens, maxDocuments, sequence } = shape;
  let rows = new BatchRows(batchTokens);
  let slot = 0;
  let tokens = 0;
  for (let document = 0; document < file.info.documents && tokens < most; document++) {
    const [start, end] = await file.starts(document, 1);
    for (let first = start!; first < end! - 1; ) {
      // Documents are not cut where a batch ends, so that a loss does not depend on how large batches are.
      const length = Math.min(sequence, end! - 1 - first);
      if (rows.length + length > batchTokens || slot === maxDocuments) {
        yield rows.batch();
        rows = new BatchRows(batchTokens);
        slot = 0;
      }
      rows.add(await file.tokens(first, first + length + 1), slot++);
      first += length;
      tokens += length;
    }
  }
  if (rows.length > 0) yield rows.batch();
}

class BatchRows {
  length = 0;
  readonly #ids: Int32Array;
  readonly #targets: Int32Array;
  readonly #slots: Int32Array;
  readonly #positions: Int32Array;

  constructor(capacity: number) {
    this.#ids = new Int32Array(capacity);
    this.#targets = new Int32Array(capacity);
    this.#slots = new Int32Array(capacity);
    this.#positions = new Int32Array(capacity);
  }

  /** A row for each of the ids but the last, whose positions begin at 0. */
  add(ids: Int32Array, slot: number): void {
    const [at, length] = [this.length, ids.length - 1];
    this.#ids.set(ids.subarray(0, length), at);
    this.#targets.set(ids.subarray(1), at);
    this.#slots.fill(slot, at, at + length);
    for (let i = 0; i < length; i++) this.#positions[at + i] = i;
    this.length += length;
  }

  batch(): TrainingBatch {
    const end = this.length;
    return {
      ids: this.#ids.subarray(0, end),
      targets: this.#targets.subarray(0, end),
      weights: new Float32Array(end).fill(1),
      slots: this.#slots.subarray(0, end),
      positions: this.#positions.subarray(0, end),
    };
  }
}
