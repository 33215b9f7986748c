// SentencePiece's tokenizer.model: a ModelProto of Protocol Buffers (google/sentencepiece, src/sentencepiece_model.proto), of which the few
// fields are read that say how a text is encoded. Each is checked; what it has besides is passed over.
import { QuipuError } from "../errors.js";

/** SentencePiece's types of pieces. */
export const PIECE_TYPE = { normal: 1, unknown: 2, control: 3, userDefined: 4, unused: 5, byte: 6 } as const;

/** The largest published models have 262,144. */
const MOST_PIECES = 2 ** 20;
/** Of a message; the engine's tokens have 4096. */
const MOST_PIECE_BYTES = 8192;
const MODEL_TYPES = ["", "Unigram", "BPE", "Word", "Char"];

export interface SentencePieces {
  /** By id. */
  readonly pieces: readonly { readonly text: string; readonly score: number; readonly type: number }[];
  readonly byteFallback: boolean;
  readonly bosId: number;
  readonly eosId: number;
  /** A space is put before a text; */
  readonly addsPrefix: boolean;
  /** spaces at its ends and all but one in a row are left out; */
  readonly removesSpaces: boolean;
  /** spaces become U+2581. */
  readonly escapesSpaces: boolean;
}

/**
 * Whether a file that begins with `head` is one: its first field is the first piece, where a rank file has a line of text.
 */
export function isSentencePiece(head: Uint8Array): boolean {
  return head[0] === 0x0a && head.some((byte) => byte < 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09);
}

/** @throws {QuipuError} ERR_TOKENIZER_INVALID for a file that is damaged, and for what this version does not do, by its name. */
export function readSentencePieces(file: Uint8Array, what: string): SentencePieces {
  const refuse = (problem: string): never => {
    throw new QuipuError("ERR_TOKENIZER_INVALID", `${what}: ${problem}`);
  };
  const model = new Message(file, { name: "the model", fields: [1, 2, 3], start: file.byteOffset, refuse });
  const trainer = model.message(2, "trainer_spec", [3, 24, 35, 41, 42]);
  const normalizer = model.message(3, "normalizer_spec", [1, 2, 3, 4, 5]);
  const type = trainer.number(3, 1);
  if (type !== 2) {
    refuse(
      `trainer_spec.model_type: this version has BPE; got ${MODEL_TYPES[type] || type}. No other file of such a model loads either`,
    );
  }
  if (trainer.flag(24, false)) refuse("trainer_spec.treat_whitespace_as_suffix: this version puts it before words");
  if (normalizer.bytes(2).length > 0) {
    const name = normalizer.text(1);
    refuse(
      `normalizer_spec.precompiled_charsmap: this version has none (the rule "identity"); got the rule ${JSON.stringify(name)}`,
    );
  }
  const pieces = model.each(1).map((bytes, id) => {
    if (bytes.length > MOST_PIECE_BYTES) {
      refuse(`piece ${id}: expected at most ${MOST_PIECE_BYTES} bytes, got ${bytes.length}`);
    }
    const piece = new Message(bytes, { name: `piece ${id}`, fields: [1, 2, 3], start: file.byteOffset, refuse });
    const [text, score, pieceType] = [piece.text(1), piece.float(2), piece.number(3, PIECE_TYPE.normal)];
    if (text === "") refuse(`piece ${id}: expected a text`);
    if (!Number.isFinite(score))
      refuse(`piece ${id} (${JSON.stringify(text)}): its score: expected a number, got ${score}`);
    if (pieceType < 1 || pieceType > 6) refuse(`piece ${id}: its type: expected 1 to 6, got ${pieceType}`);
    return { text, score, type: pieceType };
  });
  if (pieces.length === 0) refuse("expected pieces, got none");
  return {
    pieces,
    byteFallback: trainer.flag(35, false),
    bosId: trainer.number(41, 1),
    eosId: trainer.number(42, 2),
    addsPrefix: normalizer.flag(3, true),
    removesSpaces: normalizer.flag(4, true),
    escapesSpaces: normalizer.flag(5, true),
  };
}

type Field = number | Uint8Array;

interface MessageParts {
  /** For errors. */
  readonly name: string;
  /** Those that are read: of all others nothing is kept. */
  readonly fields: readonly number[];
  /** Where the file begins in its memory. */
  readonly start: number;
  readonly refuse: (problem: string) => never;
}

const EMPTY = new Uint8Array();

/** The fields of a message: varints as numbers (of 32 bits, as those that are read), all else as bytes. */
class Message {
  readonly #fields: ReadonlyMap<number, Field[]>;
  readonly #parts: MessageParts;

  constructor(bytes: Uint8Array, parts: MessageParts) {
    this.#parts = parts;
    this.#fields = new Map(parts.fields.map((field) => [field, []]));
    let at = 0;
    const damaged = () =>
      this.#refuse(`not a SentencePiece model, or damaged at byte ${bytes.byteOffset - parts.start + at}`);
    const varint = (): number => {
      let value = 0;
      for (let shift = 0; shift < 64; shift += 7) {
        const byte = bytes[at++] ?? damaged();
        if (shift < 49) value += (byte & 0x7f) * 2 ** shift; // what is larger is of no field that is read
        if (byte < 0x80) return value;
      }
      return damaged();
    };
    const take = (length: number): Uint8Array => {
      if (length > bytes.length - at) damaged();
      at += length;
      return bytes.subarray(at - length, at);
    };
    while (at < bytes.length) {
      const tag = varint();
      const value =
        [varint, () => take(8), () => take(varint()), damaged, damaged, () => take(4)][tag & 7]?.() ?? damaged();
      const known = this.#fields.get(Math.floor(tag / 8));
      if (known?.length === MOST_PIECES) this.#refuse(`more than ${MOST_PIECES} pieces: this version takes no more`);
      known?.push(value);
    }
  }

  number(field: number, otherwise: number): number {
    const value = this.#last(field) ?? otherwise;
    return typeof value === "number" ? value : this.#refuse(`its field ${field}: expected a number`);
  }

  flag(field: number, otherwise: boolean): boolean {
    return this.number(field, Number(otherwise)) !== 0;
  }

  float(field: number): number {
    const value = this.#last(field);
    if (value === undefined) return 0;
    if (typeof value === "number" || value.length !== 4) return this.#refuse(`its field ${field}: expected a score`);
    return new DataView(value.buffer, value.byteOffset).getFloat32(0, true);
  }

  bytes(field: number): Uint8Array {
    const value = this.#last(field) ?? EMPTY;
    return typeof value === "number" ? this.#refuse(`its field ${field}: expected bytes`) : value;
  }

  text(field: number): string {
    try {
      return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(this.bytes(field));
    } catch {
      return this.#refuse(`its field ${field}: expected text, got bytes that are no UTF-8`);
    }
  }

  message(field: number, name: string, fields: readonly number[]): Message {
    const bytes = this.bytes(field);
    return new Message(bytes, { ...this.#parts, name, fields, start: bytes === EMPTY ? 0 : this.#parts.start });
  }

  each(field: number): Uint8Array[] {
    const values = this.#fields.get(field) ?? [];
    return values.map((value) =>
      typeof value === "number" ? this.#refuse(`its field ${field}: expected a message`) : value,
    );
  }

  /** Of several the last counts. */
  #last(field: number): Field | undefined {
    return this.#fields.get(field)?.at(-1);
  }

  #refuse(problem: string): never {
    return this.#parts.refuse(`${this.#parts.name}: ${problem}`);
  }
}
