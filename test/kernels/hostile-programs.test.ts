// Programs that lie in every way at once, by the thousand. Whatever a stream says, native code refuses it or runs it inside its
// memory (AddressSanitizer watches in `npm run test:native`), and what it accepts is what the op table allows.
import fc from "fast-check";
import { openDevice } from "#quipu/device/device.js";
import { bytesOf, DTYPE_CODES, type DType } from "#quipu/device/tensor.js";
import { product, signatureOf } from "#quipu/graph/signatures.js";
import {
  arenaBytesOf,
  attributesOf,
  changed,
  dtypesOf,
  FORMS,
  type Form,
  LETTERS,
  load,
  memory,
  type Operand,
} from "./hand-made.js";
import { isSound } from "./soundness.js";

const device = openDevice({ threads: 2 });
afterAll(() => device.dispose());

const RUNS = process.env.QUIPU_EXHAUSTIVE ? 20_000 : process.env.QUIPU_SANITIZED ? 600 : 1500;

/** Runs what was accepted; a run may fail, and is ended where it takes long. */
async function run(program: ReturnType<typeof load>): Promise<void> {
  try {
    await device.run(program, { signal: AbortSignal.timeout(100) });
  } catch (error) {
    expect(error).toMatchObject({ code: expect.stringMatching(/^ERR_(INTERNAL|OUT_OF_MEMORY|ABORTED)$/) });
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
  fc.constantFrom(...(Object.keys(DTYPE_CODES) as DType[])).map(
    (dtype): Lie =>
      (operands, i) =>
        changed(operands, i, { dtype }),
  ),
  fc.constantFrom(0, 1, 2, 64, 2 ** 16, 2 ** 31 - 1).map(
    (bound): Lie =>
      (operands, i) => {
        const { place } = operands[i]!;
        return place === "arena" ? operands : changed(operands, i, { place: memory(device, place.bytes, bound) });
      },
  ),
  // Where it lies: misaligned, beyond the end, over another one, in the arena.
  fc.constantFrom(1, 2, 4, 64, 2 ** 31, 2 ** 32, 2 ** 52).map(
    (by): Lie =>
      (operands, i) => {
        return changed(operands, i, { offset: operands[i]!.offset + by });
      },
  ),
  fc.tuple(fc.nat(15), fc.constantFrom(0, 0, 4, 64)).map(
    ([o, by]): Lie =>
      (operands, i) => {
        const { place, offset } = pick(operands, o);
        return changed(operands, i, { place, offset: offset + by });
      },
  ),
  fc.constant<Lie>((operands, i) => changed(operands, i, { place: "arena", offset: 0 })),
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
  lies: fc.array(fc.tuple(lie, fc.nat(15)), { maxLength: 3 }),
  attributes: fc.constantFrom(0, 0, 0, 0, 1, -1),
  arena: fc.constantFrom(0, 0, 0, -1, 4096),
});

const MOST_BYTES = 2 ** 39; // of a buffer: zeroed pages that are never touched cost nothing

/** Operands as the letters say, but that a dim has 32 bits; each with memory of its own, as far as the system has it. */
function operandsOf(form: Form, letters: Readonly<Record<string, number | undefined>>): Operand[] {
  const { operands, required, letters: rows } = signatureOf(form.op);
  const numbers = rows.map(({ name }) => letters[name] ?? LETTERS[name]!);
  return operands.slice(0, form.optional ? operands.length : required).map(({ name, dims, index, bound }, i) => {
    const dtype = dtypesOf(form, i)[0]!;
    const shape = dims.map((dim) =>
      Number(
        BigInt.asUintN(
          32,
          dim.letters.reduce((all, l) => all * BigInt(numbers[l]!), BigInt(dim.factor)),
        ),
      ),
    );
    const declared = !index ? 0 : bound === undefined ? 9 : Math.min(product(bound, numbers), 2 ** 31 - 1);
    const bytes = bytesOf(dtype, shape);
    return { name, dtype, shape, place: memory(device, bytes <= MOST_BYTES ? bytes : 64, declared), offset: 0 };
  });
}

test("any lie: refused as the table says, or run", async () => {
  let [accepted, refused] = [0, 0];
  await fc.assert(
    fc.asyncProperty(hostile, async ({ form, letters, withoutRows, lies, attributes, arena }) => {
      const { op } = form;
      const own = operandsOf(form, withoutRows ? { ...letters, T: 0, R: 0 } : letters);
      let operands: readonly Operand[] = own;
      for (const [lie, i] of lies) if (operands.length > 0) operands = lie(operands, i % operands.length);
      const words = Array.from({ length: Math.max(0, attributesOf(op).length + attributes) }, () => 0x3f800000);
      const arenaBytes = Math.max(0, arenaBytesOf(operands) + arena);
      const sound = isSound(op, operands, words.length, arenaBytes);
      let program: ReturnType<typeof load> | undefined;
      try {
        program = load(device, op, operands, { attributes: words, arenaBytes });
      } catch (error) {
        expect(error).toMatchObject({ code: "ERR_INTERNAL" });
      }
      expect(program !== undefined).toBe(sound);
      if (program === undefined) refused += 1;
      else accepted += 1;
      if (program !== undefined && touched(operands) < 2 ** 22) await run(program);
      else program?.dispose();
      for (const { place } of [...own, ...operands]) if (place !== "arena") place.buffer.dispose();
    }),
    { numRuns: RUNS },
  );
  expect(Math.min(accepted, refused)).toBeGreaterThan(RUNS / 10);
});
