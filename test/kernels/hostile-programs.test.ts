// Programs that lie in every way at once, by the thousand. Whatever a stream says, native code refuses it or runs it inside its
// memory (AddressSanitizer watches in `npm run test:native`), and what it accepts is what the op table allows.
import fc from "fast-check";
import type { NativeProgram } from "#quipu/addon/addon-types.js";
import { openDevice } from "#quipu/device/device.js";
import { type DType, FORMATS, PACKED } from "#quipu/device/formats.js";
import { bytesOf } from "#quipu/device/tensor.js";
import { checkOperands } from "#quipu/graph/check-operands.js";
import { type Dim, product, signatureOf } from "#quipu/graph/signatures.js";
import {
  arenaBytesOf,
  attributesOf,
  CAPACITY,
  changed,
  dtypesOf,
  encodeOp,
  FORMS,
  type Form,
  honest,
  inRows,
  LETTERS,
  load,
  type Memory,
  memory,
  type Operand,
  onesOf,
} from "./hand-made.js";
import { isSound } from "./soundness.js";

const device = openDevice({ threads: 2 });
afterAll(() => device.dispose());

const RUNS = process.env.QUIPU_EXHAUSTIVE ? 20_000 : 5000;

/** Runs what was accepted; a run may fail, and is ended where it takes long. */
async function run(
  program: NativeProgram,
  operands: readonly Operand[],
  counts = { rows: 0, wanted: 0 },
): Promise<void> {
  const writes = operands.flatMap(({ place }) => (place === "arena" ? [] : (place.contents ?? [])));
  try {
    await device.run(program, { writes, ...counts, signal: AbortSignal.timeout(100) });
  } catch (error) {
    expect(error).toMatchObject({
      code: expect.stringMatching(/^ERR_(INTERNAL|OUT_OF_MEMORY|ABORTED|NOT_A_NUMBER|ALL_FORBIDDEN)$/),
    });
  } finally {
    program.dispose();
  }
}

/** Bytes that a run may touch, as far as shapes tell. */
const touched = (operands: readonly Operand[]) =>
  operands.reduce((bytes, { dtype, shape }) => bytes + bytesOf(dtype, shape), 0);

// Numbers whose products lie around 2^32 and 2^64, and those where a check may be off by one.
const EDGES = [0, 1, 2, 3, 63, 64, 65, 2 ** 15, 2 ** 16 - 1, 2 ** 16, 2 ** 16 + 1, 2 ** 26, 2 ** 31, 2 ** 32 - 1];
const number = fc.oneof(
  { weight: 4, arbitrary: fc.constant(undefined) }, // the honest one
  { weight: 2, arbitrary: fc.constantFrom(0, 1, 2) },
  { weight: 2, arbitrary: fc.constantFrom(...EDGES) },
  { weight: 1, arbitrary: fc.integer({ min: 0, max: 2 ** 32 - 1 }) },
);

/** One lie about one operand. */
type Lie = (operands: readonly Operand[], i: number) => readonly Operand[];

const pick = <T>(list: readonly T[], seed: number): T => list[seed % list.length]!;

const lie: fc.Arbitrary<Lie> = fc.oneof(
  // Its shape: any dim, any rank.
  fc.tuple(fc.nat(3), fc.constantFrom(...EDGES)).map(
    ([d, dim]): Lie =>
      (operands, i) => {
        const { shape } = operands[i]!;
        return changed(operands, i, { shape: shape.length === 0 ? [dim] : shape.with(d % shape.length, dim) });
      },
  ),
  fc.constantFrom(-1, 1).map(
    (by): Lie =>
      (operands, i) => {
        const { shape } = operands[i]!;
        return changed(operands, i, { shape: by < 0 ? shape.slice(1) : [...shape, 1].slice(-4) });
      },
  ),
  // Its kind, its bound, who may write it.
  fc.constantFrom(...(Object.keys(FORMATS) as DType[])).map(
    (dtype): Lie =>
      (operands, i) =>
        changed(operands, i, { dtype }),
  ),
  fc.constantFrom(0, 1, 2, 64, 2 ** 16, 2 ** 31 - 1).map(
    (bound): Lie =>
      (operands, i) => {
        const { place } = operands[i]!;
        if (place === "arena") return operands;
        return changed(operands, i, { place: memory(device, Math.min(place.bytes, 2 ** 20), bound), offset: 0 });
      },
  ),
  fc.constantFrom(-1, 1).map(
    (by): Lie =>
      (operands, i) => {
        const { place, dtype, shape } = operands[i]!;
        const bytes = bytesOf(dtype, shape);
        if (place === "arena" || bytes > 2 ** 20) return operands;
        const bound = Math.min(Math.max(0, place.bound + by), 2 ** 31 - 1);
        return changed(operands, i, { place: memory(device, bytes, bound), offset: 0 });
      },
  ),
  // Where it lies: misaligned, beyond the end, over another one, in the arena.
  fc.constantFrom(-64, -4, -2, -1, 1, 2, 4, 64, 2 ** 31, 2 ** 32, 2 ** 52).map(
    (by): Lie =>
      (operands, i) => {
        return changed(operands, i, { offset: Math.max(0, operands[i]!.offset + by) });
      },
  ),
  fc.tuple(fc.nat(15), fc.constantFrom(0, 0, 4, 64)).map(
    ([o, by]): Lie =>
      (operands, i) => {
        const { place, offset } = pick(operands, o);
        return changed(operands, i, { place, offset: offset + by });
      },
  ),
  fc.tuple(fc.nat(15), fc.constantFrom(0, 0, 4)).map(
    ([o, by]): Lie =>
      (operands, i) => {
        const { place, offset } = pick(operands, o); // just before it, or into it
        const { dtype, shape } = operands[i]!;
        return changed(operands, i, { place, offset: Math.max(0, offset - bytesOf(dtype, shape) + by) });
      },
  ),
  fc.constant<Lie>((operands, i) => changed(operands, i, { place: "arena", offset: 0 })),
  // What its first dim is.
  fc.constantFrom(0, 1, 2, 3).map(
    (leading): Lie =>
      (operands, i) =>
        changed(operands, i, { leading }),
  ),
  // Missing, extra, another one's.
  fc.constant<Lie>((operands, i) => operands.toSpliced(i, 1)),
  fc.nat(15).map(
    (o): Lie =>
      (operands, i) =>
        operands.toSpliced(i, 0, pick(operands, o)).slice(0, 13),
  ),
  fc.nat(15).map(
    (o): Lie =>
      (operands, i) =>
        changed(operands, i, pick(operands, o)),
  ),
);

const hostile = fc.record({
  form: fc.constantFrom(...FORMS),
  letters: fc.dictionary(fc.constantFrom(...Object.keys(LETTERS)), number, { maxKeys: 8 }),
  withoutRows: fc.boolean(),
  rowsOfRun: fc.boolean(),
  off: fc.constantFrom(0, 0, 0, 0, 1, -1), // the capacity
  fewer: fc.tuple(fc.nat(4), fc.nat(4)),
  lies: fc.array(fc.tuple(lie, fc.nat(15)), { maxLength: 3 }),
  attributes: fc.constantFrom(0, 0, 0, 0, 1, -1),
  arena: fc.constantFrom(0, 0, 0, -1, 4096),
});

// Zeroed pages that are never touched cost nothing, so that every operand may be huge; V8 is told of them once.
const memories = new Map<string, Memory>();

function memoryOf(i: number, bytes: number, bound: number): Memory {
  const most = bound > 0 ? 2 ** 35 : 2 ** 39;
  if (bytes > most) return memory(device, 64, bound);
  const key = `${i} ${bound}`;
  if (memories.size > 200 && !memories.has(key)) return memory(device, Math.min(bytes, 2 ** 20), bound);
  const known = memories.get(key) ?? memory(device, most, bound);
  memories.set(key, known);
  return known;
}

/** Operands as the letters say, but that a dim has 32 bits; each ends where its memory does. */
function operandsOf(form: Form, letters: Readonly<Record<string, number | undefined>>): Operand[] {
  const { operands, required, letters: rows } = signatureOf(form.op);
  const numbers = rows.map(({ name }) => letters[name] ?? LETTERS[name]!);
  const dim32 = ({ letters, factor }: Dim) =>
    Number(
      BigInt.asUintN(
        32,
        letters.reduce((all, letter) => all * BigInt(numbers[letter]!), BigInt(factor)),
      ),
    );
  return operands.slice(0, form.optional ? operands.length : required).map(({ name, dims, index, bound }, i) => {
    const dtype = dtypesOf(form, i)[0]!;
    const shape = dims.map(dim32);
    const declared = !index ? 0 : bound === undefined ? 9 : Math.min(product(bound, numbers), 2 ** 31 - 1);
    const bytes = bytesOf(dtype, shape);
    const place = memoryOf(i, bytes, declared);
    return { name, dtype, shape, place, offset: Math.max(0, place.bytes - bytes), leading: 0 };
  });
}

/** What native code accepts, the recorder accepts: the numbers that only results tell are given to it. */
function expectRecordable({ op }: Form, operands: readonly Operand[]): void {
  const signature = signatureOf(op);
  const given: Record<string, number> = {};
  const values = signature.operands.map(({ role, dims }, i) => {
    const operand = operands[i];
    if (role !== "result")
      return operand && { ...operand, leading: LEADING[operand.leading], tensor: { indexBound: boundOf(operand) } };
    dims.forEach(({ binds, text }, d) => {
      if (binds >= 0) given[text] = operand!.shape[d]!;
    });
    return undefined;
  });
  checkOperands(signature, values, given);
}

const LEADING = [undefined, "rows", "wanted"] as const;

const boundOf = ({ place }: Operand) => (place === "arena" ? 0 : place.bound);

test("any lie: refused as the table says, or run", async () => {
  let [accepted, refused] = [0, 0];
  await fc.assert(
    fc.asyncProperty(
      hostile,
      async ({ form, letters, withoutRows, rowsOfRun, off, fewer, lies, attributes, arena }) => {
        const { op } = form;
        const told = withoutRows ? { ...letters, T: 0, R: 0 } : letters;
        const fixed = operandsOf(form, told);
        const own = rowsOfRun ? inRows(op, fixed) : fixed;
        const least = (count: number) => Math.min(Math.max(0, count + off), 2 ** 32 - 1);
        const capacity = { rows: least(told.T ?? LETTERS.T!), wanted: least(told.R ?? LETTERS.R!) };
        let operands: readonly Operand[] = own;
        for (const [lie, i] of lies) if (operands.length > 0) operands = lie(operands, i % operands.length);
        const words = [...onesOf(op), 1].slice(0, Math.max(0, attributesOf(op).length + attributes));
        const arenaBytes = Math.max(0, arenaBytesOf(operands) + arena);
        const sound = isSound(op, operands, words.length, arenaBytes, capacity);
        let program: NativeProgram | undefined;
        try {
          program = load(device, op, operands, { attributes: words, arenaBytes, capacity });
        } catch (error) {
          expect(error).toMatchObject({ code: "ERR_INTERNAL" });
        }
        expect(program !== undefined).toBe(sound);
        if (sound) expectRecordable(form, operands);
        if (program === undefined) refused += 1;
        else accepted += 1;
        const rows = Math.max(0, capacity.rows - fewer[0]);
        const counts = { rows, wanted: Math.max(0, capacity.wanted - fewer[1]) };
        if (program !== undefined && touched(operands) < 2 ** 22) await run(program, operands, counts);
        else program?.dispose();
        const kept = new Set(memories.values());
        for (const { place } of [...own, ...operands]) {
          if (place !== "arena" && !kept.has(place)) place.buffer.dispose();
        }
      },
    ),
    { numRuns: RUNS },
  );
  expect(Math.min(accepted, refused)).toBeGreaterThan(RUNS / 10);
});

describe.each(FORMS)("the stream of %j", (form) => {
  const operands = inRows(form.op, honest(device, form));
  const { stream: honestStream, buffers } = encodeOp(form.op, operands, { capacity: CAPACITY });

  /** Loads and runs what a stream has become; whether it was accepted. */
  async function expectRefusedOrRun(words: Uint32Array): Promise<boolean> {
    let program: NativeProgram;
    try {
      program = device.load(words, buffers);
    } catch (error) {
      expect(error).toMatchObject({ code: "ERR_INTERNAL" });
      return false;
    }
    await run(program, operands, CAPACITY);
    return true;
  }

  test("cut short, or with a word too many", async () => {
    expect(await expectRefusedOrRun(honestStream)).toBe(true);
    expect(() => device.load(Uint32Array.of(...honestStream, 0), buffers)).toThrow(/words after the last op/);
    for (let length = 0; length < honestStream.length; length++) {
      expect(() => device.load(honestStream.slice(0, length), buffers)).toThrow(
        expect.objectContaining({ code: "ERR_INTERNAL", message: expect.stringMatching(/^malformed program/) }),
      );
    }
  });

  test("any bit of it flipped", async () => {
    let refused = 0;
    for (let bit = 0; bit < honestStream.length * 32; bit++) {
      const words = honestStream.slice();
      words[bit >> 5]! ^= 1 << (bit & 31);
      if (!(await expectRefusedOrRun(words))) refused += 1;
    }
    expect(refused).toBeGreaterThan(honestStream.length * 24);
  });

  test("some words of it changed", async () => {
    const word = fc.oneof(fc.constantFrom(...EDGES), fc.nat(16), fc.integer({ min: 0, max: 2 ** 32 - 1 }));
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(fc.nat(), word), { minLength: 1, maxLength: 3 }), async (changes) => {
        const words = honestStream.slice();
        for (const [at, value] of changes) words[at % words.length] = value;
        await expectRefusedOrRun(words);
      }),
      { numRuns: RUNS / 5 },
    );
  });
});

/** An op whose operands have these shapes and own `bytes` of memory each, ending where it does. */
function shaped(form: Form, shapes: Readonly<Record<string, number[]>>, bytes: number): Operand[] {
  return honest(device, form).map((operand) => {
    const shape = shapes[operand.name] ?? operand.shape;
    const bound = (operand.place as Memory).bound;
    return { ...operand, shape, place: memory(device, bytes, bound) };
  });
}

// The memory of a packed matrix is no product of its dims, and a lie hits its last byte too seldom.
describe.each(PACKED)("a matrix of %s ends where its place does", (packed) => {
  const form = FORMS.find(({ op }) => op === "quantize")!;
  const rows = FORMATS[packed].block.rows;

  test.each([1, rows, rows + 1].flatMap((n) => [1, 16, 64, 300].map((k) => [n, k])))("[%i, %i]", (n, k) => {
    const operands = honest(device, form, { N: n, K: k });
    const inArena = changed(operands, 1, { dtype: packed, place: "arena" });
    for (const short of [0, 1]) {
      const arenaBytes = arenaBytesOf(inArena) - short;
      expect(isSound("quantize", inArena, 0, arenaBytes)).toBe(short === 0);
      const loaded = () => load(device, "quantize", inArena, { arenaBytes }).dispose();
      if (short === 0) expect(loaded).not.toThrow();
      else expect(loaded).toThrow(/tensor 1 leaves its buffer/);
    }
  });
});

describe("sizes that 32, 64 or 128 bits do not hold", () => {
  const small = { op: "add", optional: false } as const;
  const wide = [2 ** 16, 2 ** 16];

  test.each([
    [[2 ** 31, 2 ** 31, 4]], // 2^66 bytes
    [[...wide, ...wide]], // 2^66
    [[2 ** 31, 2 ** 31, 4, 1]], // 2^66, in 2^64 rows
    [[3584680096, 2572997253, 3064812931, 3009440459]], // 2^128 + 463 GiB
    [[2 ** 32 - 1, 2 ** 32 - 1, 2 ** 32 - 1, 2 ** 32 - 1]], // 2^130 less some
  ])("a tensor of %j leaves 512 GiB", (shape) => {
    const operands = shaped(small, { a: shape }, 2 ** 39);
    expect(() => load(device, "add", operands)).toThrow(/tensor 0 leaves its buffer/);
  });

  test("tensors not aligned to their elements", () => {
    for (const offset of [1, 2, 3, 5]) {
      const operands = changed(honest(device, small), 1, { offset });
      expect(() => load(device, "add", operands)).toThrow(/tensor 1 is not aligned/);
    }
  });

  test("heads · size = 2^32: k and v of a cache are not empty", () => {
    const form = { op: "appendKv", optional: true } as const;
    const heads = 2 ** 16;
    const shapes = {
      ...{ k: [1, 0], v: [1, 0], slots: [1], positions: [1], pageTable: [1, 1] },
      ...{ keys: [1, heads, heads, 64], values: [1, heads, 64, heads] },
      ...{ keyScales: [1, heads, 64], valueScales: [1, heads, 64] },
    };
    const operands = shaped(form, shapes, 2 ** 38).map((operand) => {
      const bounds: Readonly<Record<string, number>> = { slots: 1, positions: 64, pageTable: 1 };
      const bound = bounds[operand.name];
      return bound === undefined ? operand : { ...operand, place: memory(device, 4096, bound) };
    });
    expect(() => load(device, "appendKv", operands)).toThrow(/operand k has the wrong shape: 0 in dim 1/);
  });

  test("2 · half = 2^32: no width is a multiple of nothing", () => {
    const shapes = { x: [0, 32], angles: [0, 2 ** 31, 2], out: [0, 32] };
    const operands = shaped({ op: "rope", optional: false }, shapes, 64);
    expect(() => load(device, "rope", operands)).toThrow(/operand x has the wrong shape: 32 in dim 1/);
  });

  test("a workspace of 2^64 bytes: attention's results by page, of 2^27 heads and 2^31 blocks", async () => {
    const [heads, blocks] = [2 ** 27, 2 ** 31];
    const form = { op: "attention", optional: false } as const;
    const shapes = {
      ...{ q: [1, heads], out: [1, heads], slots: [1], positions: [1], pageTable: [1, blocks] },
      ...{ keys: [1, 1, 1, 64], values: [1, 1, 64, 1] },
    };
    const operands = shaped(form, shapes, 2 ** 33).map((operand) => {
      const bounds: Readonly<Record<string, number>> = { slots: 1, positions: 64, pageTable: 1 };
      const bound = bounds[operand.name];
      return bound === undefined ? operand : { ...operand, place: memory(device, 2 ** 33, bound) };
    });
    const program = load(device, "attention", operands);
    await expect(device.run(program)).rejects.toMatchObject({ code: "ERR_OUT_OF_MEMORY" });
  });
});
