// attention of one query, to the letter of docs/numerics.md and in f64 with the bound that the letter has against it.
import { PAGE_KEYS } from "#quipu/graph/ops.js";
import { type CacheContents, type CacheShape, numbers, placeIn, rotate, rotates } from "./cache.js";
import { exp, fma, fround, gamma, rint, sumLanes } from "./canonical.js";

const { abs, ceil, exp: exp64, expm1, floor, log2, max, min } = Math;
const U = 2 ** -24;

/** A cache as numbers, and the pages of each slot. */
export class ReferenceCache {
  readonly shape: CacheShape;
  readonly #table: readonly (readonly number[])[];
  readonly #keys: Float64Array;
  readonly #values: Float64Array;
  readonly #scales: { keys: Float64Array; values: Float64Array } | undefined;

  constructor(shape: CacheShape, contents: CacheContents, table: readonly (readonly number[])[]) {
    this.shape = shape;
    this.#table = table;
    this.#keys = numbers(contents.keys);
    this.#values = numbers(contents.values);
    if (contents.keyScales !== undefined && contents.valueScales !== undefined)
      this.#scales = { keys: numbers(contents.keyScales), values: numbers(contents.valueScales) };
  }

  /** Calls back with the page of every block of `slot` up to `position`, and how many of its keys are visible. */
  #forPages(slot: number, position: number, visit: (page: number, visible: number) => void) {
    for (let block = 0; block <= floor(position / PAGE_KEYS); block++)
      visit(this.#table[slot]![block]!, min(PAGE_KEYS, position + 1 - block * PAGE_KEYS));
  }

  /** What stands for the query in scores: its numbers, or of an i8 cache whole numbers and what they count, rotated. */
  #query(q: Float32Array): { numbers: Float32Array; scale: number } {
    if (this.#scales === undefined) return { numbers: q, scale: 1 };
    const rotated = rotates(this.shape) ? rotate(q.slice()) : q;
    let m = rotated.reduce((greatest, x) => max(greatest, abs(x)), 0);
    if (!(m < Number.POSITIVE_INFINITY)) return { numbers: rotated.map(() => 0), scale: Number.NaN };
    if (m < 2 ** -100) m = 0;
    const inverse = m === 0 ? 0 : fround(127 / m);
    return { numbers: rotated.map((x) => rint(fround(x * inverse))), scale: fround(m / 127) };
  }

  /** What products of rotated vectors are to be multiplied by. */
  get #part(): number {
    return rotates(this.shape) ? 1 / this.shape.size : 1;
  }

  /** docs/numerics.md, attention: query `q` of key/value head `head` at `position` of `slot`. */
  canonical(q: Float32Array, head: number, slot: number, position: number, scale: number): Float32Array {
    const { size } = this.shape;
    const [keys, values, scales] = [this.#keys, this.#values, this.#scales];
    const query = this.#query(q);
    const factor = scales === undefined ? scale : fround(fround(query.scale * scale) * this.#part);
    let [m, l] = [Number.NEGATIVE_INFINITY, 0];
    const o = new Float32Array(size);
    this.#forPages(slot, position, (page, visible) => {
      const at = placeIn(this.shape, page, head, 0);
      const s = new Float32Array(visible);
      let mp = Number.NEGATIVE_INFINITY;
      for (let j = 0; j < visible; j++) {
        const { key } = placeIn(this.shape, page, head, j);
        s[j] = scales === undefined ? chain(query.numbers, keys, key) : whole(query.numbers, keys, key);
        if (scales !== undefined) s[j]! *= scales.keys[at.scale + j]!;
        s[j]! *= factor;
        if (s[j]! > mp) mp = s[j]!;
      }
      const lanes = new Float32Array(16);
      const p = s.map((score) => exp(fround(score - mp)));
      for (let j = 0; j < PAGE_KEYS; j++) lanes[j % 16]! += j < visible ? p[j]! : 0;
      if (scales !== undefined) for (let j = 0; j < visible; j++) p[j]! *= scales.values[at.scale + j]!;
      const after = max(m, mp);
      const [f, g] = [exp(fround(m - after)), exp(fround(mp - after))];
      l = fma(l, f, fround(sumLanes(lanes) * g));
      for (let c = 0; c < size; c++) {
        let sum = 0;
        for (let j = 0; j < visible; j++) sum = fma(p[j]!, values[at.value + j * size + c]!, sum);
        o[c] = fma(o[c]!, f, fround(sum * g));
      }
      m = after;
    });
    for (let c = 0; c < size; c++) o[c]! /= l;
    if (rotates(this.shape)) rotate(o);
    return o.map((value) => value * this.#part);
  }

  /**
   * Softmax in f64, and the bound of an f32 result, both [d]; of an i8 cache over the codes of the query (`coded`), or over the query.
   * `narrow`: what a device rounds queries and weights to besides, and its own exp, as a share of them.
   */
  exact(q: Float32Array, head: number, slot: number, position: number, scale: number, coded: boolean, narrow = 0) {
    const { size } = this.shape;
    const [keys, values, scales] = [this.#keys, this.#values, this.#scales];
    const rotated = rotates(this.shape);
    const codes = this.#query(q);
    const query = coded
      ? Float64Array.from(codes.numbers, (x) => x * codes.scale)
      : rotated
        ? rotate(Float64Array.from(q))
        : Float64Array.from(q);
    const [scores, magnitudes, rows, factors]: number[][] = [[], [], [], []];
    this.#forPages(slot, position, (page, visible) => {
      const at = placeIn(this.shape, page, head, 0);
      for (let j = 0; j < visible; j++) {
        const { key } = placeIn(this.shape, page, head, j);
        const keyScale = scale * (scales?.keys[at.scale + j] ?? 1) * this.#part;
        let [score, magnitude] = [0, 0];
        for (let c = 0; c < size; c++) {
          const term = query[c]! * keys[key(c)]! * keyScale;
          score += term;
          magnitude += abs(term);
        }
        scores!.push(score);
        magnitudes!.push(magnitude);
        rows!.push(at.value + j * size);
        factors!.push(scales?.values[at.scale + j] ?? 1);
      }
    });
    const greatest = scores!.reduce((a, b) => max(a, b));
    const weights = scores!.map((score) => exp64(score - greatest));
    const total = weights.reduce((a, b) => a + b);
    // A weight's exponent is off by the score's error (d fma, or a whole number, and up to four products) and one rounding of each
    // difference on its way to the final maximum, which add up to u (m − s); each exp (its own, g, and f of every later page) by 1 ulp.
    const pages = ceil((position + 1) / PAGE_KEYS);
    const exponent = scores!.map((s, j) => (gamma(size + 4) + narrow) * magnitudes![j]! + U * (greatest - s));
    const inWeight = expm1(exponent.reduce((a, b) => max(a, b)) + 2.01 * U * (pages + 1));
    // Numerator and denominator then pass at most 64 fma in a page, the value's scale, g, and a fma a page; one division.
    const relative = (1 + inWeight) * (1 + gamma(PAGE_KEYS + 2 + pages) + 2 * narrow) - 1;
    const out = new Float64Array(size);
    const bounds = new Float64Array(size);
    for (let c = 0; c < size; c++) {
      let [sum, magnitude] = [0, 0];
      for (let j = 0; j < weights.length; j++) {
        const term = weights[j]! * factors![j]! * values[rows![j]! + c]!;
        sum += term;
        magnitude += abs(term);
      }
      out[c] = sum / total;
      bounds[c] = (magnitude / total) * ((2 * relative) / (1 - relative) + U);
    }
    if (!rotated) return { out, bounds };
    // Turned back, each is the sum of all with either sign: of their bounds, and of log₂ d roundings.
    const sums = out.reduce((a, b) => a + abs(b), 0) * gamma(log2(size)) + bounds.reduce((a, b) => a + b, 0);
    return { out: rotate(out).map((x) => x * this.#part), bounds: bounds.fill(sums * 1.01 * this.#part) };
  }
}

/** Σ q · key in one chain of fma. */
function chain(q: Float32Array, keys: Float64Array, place: (c: number) => number): number {
  let sum = 0;
  for (let c = 0; c < q.length; c++) sum = fma(q[c]!, keys[place(c)]!, sum);
  return sum;
}

/** The same of whole numbers: exact, but that the sums of 1,024 are added in f32. */
function whole(q: Float32Array, keys: Float64Array, place: (c: number) => number): number {
  let [total, sum] = [0, 0];
  for (let c = 0; c < q.length; c++) {
    sum += q[c]! * keys[place(c)]!;
    if (c % 1024 !== 1023 && c + 1 < q.length) continue;
    total = fround(total + sum);
    sum = 0;
  }
  return total;
}
