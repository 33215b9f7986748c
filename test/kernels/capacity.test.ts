// Programs with a capacity: of every op, a run with fewer rows gives the bits of a program that is made for exactly so many, and
// leaves alone what lies beyond; and the kernels' workspace, asked for once, is enough for every number of rows.
import { Device } from "#quipu/device/device.js";
import { type OpName, opRow } from "#quipu/graph/ops.js";
import { compile } from "#quipu/graph/program.js";
import { Recorder } from "#quipu/graph/recorder.js";
import type { RowCounts, Value } from "#quipu/graph/recording.js";
import { product, signatureOf } from "#quipu/graph/signatures.js";
import { type Contents, type Elements, elements, randomNumbers, sizeOf } from "./contents.js";
import { dtypesOf, FORMS, type Form, LETTERS } from "./hand-made.js";
import { CPU_OPS, expectSameBits, isCuda, OTHER_DEVICES, runOp, type Setup, TARGETS } from "./run-op.js";

/** Beyond all forms of the product, and where attention takes rows together; with room in the cache for every row. */
const CAPACITY = { rows: 70, wanted: 66 };
const COUNTS: readonly RowCounts[] = [
  ...[0, 1, 2, 3, 8, 31, 32, 33, 64, 65, 69].map((rows) => ({ rows, wanted: Math.min(rows, 5) })),
  { rows: 70, wanted: 1 },
  { rows: 70, wanted: 66 },
  { rows: 5, wanted: 0 },
];

const SLOTS = LETTERS.S!;
const NUMBERS: Readonly<Record<string, number>> = { ...LETTERS, C: 40 };

/** Contents of the operands of an op with so many rows, the first of them the same however many there are. */
function inputsOf({ op, optional }: Form, { rows, wanted }: RowCounts, marked: boolean): Record<string, Contents> {
  const signature = signatureOf(op);
  const numbers = signature.letters.map(({ name }) => ({ ...NUMBERS, T: rows, R: wanted })[name]!);
  const inputs: Record<string, Contents> = {};
  signature.operands.slice(0, optional ? undefined : signature.required).forEach((operand, i) => {
    const { name, role, dims, index, bound } = operand;
    if (role === "result") return;
    const dtype = dtypesOf({ op, optional }, i)[0]!;
    const shape = dims.map((dim) => product(dim, numbers));
    const data = elements(dtype, sizeOf(shape));
    const next = randomNumbers(i + 1);
    const declared = index ? (bound === undefined ? 40 : Math.max(1, product(bound, numbers))) : 0;
    const rowContents: Readonly<Record<string, (t: number) => number>> = {
      slots: (t) => Math.floor(t / 30) % SLOTS,
      positions: (t) => t % 30,
      rowSlots: (t) => (t % 4) - 1,
      rowPositions: (t) => (t % 3) - 1,
      pageTable: (page) => page,
      sampled: (row) => (row % 41) - 1,
      outputRows: (row) => Math.min(row, rows) - 1, // none, then the first …
    };
    for (let at = 0; at < data.length; at++) {
      const random = next();
      if (rowContents[name] !== undefined) data[at] = rowContents[name](at);
      else if (index) data[at] = Math.floor(((random + 1) / 2) * (declared + 1)) - 1;
      else data[at] = dtype === "f32" ? random : Math.floor(random * 8);
    }
    const [first] = dims;
    const leading = first!.text === "T" ? "rows" : first!.text === "R" ? "wanted" : undefined;
    inputs[name] = {
      ...{ dtype, shape, data },
      ...(index ? { bound: declared } : {}),
      ...(marked && leading ? { leading } : {}),
    };
  });
  return inputs;
}

/** Letters that no operand tells. */
function onlyOfResults(op: OpName): Record<string, number> {
  const { letters, operands } = signatureOf(op);
  const told = new Set(
    operands.flatMap(({ role, dims }) => (role === "result" ? [] : dims.flatMap((dim) => dim.letters))),
  );
  return Object.fromEntries(letters.flatMap(({ name }, i) => (told.has(i) ? [] : [[name, NUMBERS[name]!] as const])));
}

const record = (op: OpName) => (r: Recorder, inputs: Readonly<Record<string, Value>>) => {
  const attributes = Object.fromEntries(
    Object.entries(opRow(op).attributes ?? {}).map(([name, type]) => [name, type === "f32" ? 0.25 : LETTERS.d!]),
  );
  const results = r.record(op, inputs, attributes, onlyOfResults(op));
  return Object.values(results).filter(({ tensor }) => tensor === undefined);
};

const SETUPS: readonly Setup[] = [
  ...TARGETS.flatMap((target) => [1, 2].map((threads) => ({ target, threads }))),
  ...OTHER_DEVICES.map((device) => ({ device })),
];

describe.each(FORMS)("%j", (form) => {
  const { op } = form;

  const setups = SETUPS.filter((setup) => !CPU_OPS.has(op) || !("device" in setup) || !isCuda(setup.device));
  test.each(setups)("on %j", async (setup) => {
    for (const { rows, wanted } of COUNTS) {
      const letters = signatureOf(op).operands.map(({ dims: [first] }) => first!.text);
      if (rows === 0 && letters.includes("R")) continue; // of none, none can be named
      const counts = { rows: letters.includes("T") ? rows : 0, wanted: letters.includes("R") ? wanted : 0 };
      const where = `${JSON.stringify(counts)} of ${JSON.stringify(CAPACITY)}`;
      const whole = inputsOf(form, CAPACITY, true);
      const exact = inputsOf(form, { rows, wanted }, false);
      for (const name of Object.keys(whole)) whole[name]!.data.set(exact[name]!.data); // what lies beyond is of the capacity
      const [some, alone] = [
        await runOp({ ...setup, counts }, whole, record(op)),
        await runOp(setup, exact, record(op)),
      ];
      const expectRows = (name: string, given: Elements, expected: Elements, beyond: Elements) => {
        expectSameBits(given.subarray(0, expected.length), expected, `${name}, ${where}`);
        expectSameBits(given.subarray(expected.length), beyond, `${name} beyond the rows of the run, ${where}`);
      };
      Object.keys(opRow(op).results).forEach((name, i) => {
        const [given, expected] = [some.outputs[i]!, alone.outputs[i]!];
        expectRows(name, given, expected, untouched(given.subarray(expected.length)));
      });
      for (const [name, { data }] of Object.entries(exact)) {
        expectRows(name, some.state[name]!, alone.state[name]!, whole[name]!.data.subarray(data.length));
      }
    }
  });
});

/** As runOp() has filled them. */
function untouched(rows: Elements): Elements {
  const filled = rows.slice();
  new Uint8Array(filled.buffer).fill(0xff);
  return filled;
}

/** Bytes of workspace for an op whose operands are all state, so that nothing is in the arena. */
async function workspaceOf(device: Device, op: OpName, numbers: Readonly<Record<string, number>>): Promise<number> {
  const signature = signatureOf(op);
  const letters = signature.letters.map(({ name }) => numbers[name]!);
  const r = new Recorder();
  const tensors = signature.operands.slice(0, signature.required).map(({ name, dims, dtypes, index, bound, like }) => {
    const dtype = like < 0 ? dtypes[0]! : "f32";
    const declared = index ? product(bound!, letters) : 0;
    return device.allocate(
      name,
      dtype,
      dims.map((dim) => product(dim, letters)),
      declared,
    );
  });
  const operands = Object.fromEntries(tensors.map((tensor) => [tensor.name, r.input(tensor)]));
  const results = signature.operands.filter(({ role }) => role === "result").map(({ name }) => operands[name]!.tensor!);
  for (const { name, role } of signature.operands) if (role === "result") delete operands[name];
  const made = Object.values(r.record(op, operands, { scale: 1, epsilon: 1, headSize: 8 }))
    .filter(({ tensor }) => tensor === undefined)
    .map((value) => r.output(value));
  const places = new Map(made.map((value, i) => [value, results[i]!]));
  const program = compile(device, r.finish(), { passes: [], places });
  await program.run();
  const { arena } = device.memory();
  program.dispose();
  await device.run(null); // after which the program is gone
  for (const tensor of tensors) device.free(tensor);
  return arena;
}

describe.each(TARGETS)(
  "workspace of %s kernels: enough for a number of rows is enough for every smaller one",
  (target) => {
    test.each<[OpName, Record<string, number>]>([
      ["matmul", { N: 70, K: 48 }],
      ["matmulAdd", { N: 70, K: 1100 }],
      ["matmulSwiglu", { F: 96, K: 48 }],
      ["matmulSwiglu", { F: 5000, K: 1 }], // tiles of few rows are wider than those of many
      ["matmulSwiglu", { F: 700, K: 300 }],
      ["attention", { n: 3, G: 2, d: 16, S: 3, B: 40, pages: 6 }],
      ["attention", { n: 1, G: 1, d: 48, S: 3, B: 3, pages: 6 }],
      ["attention", { n: 50, G: 3, d: 8, S: 3, B: 1, pages: 6 }],
      ["attention", { n: 1, G: 65, d: 4, S: 3, B: 8, pages: 6 }], // never shares out pages
      ["matmulPlain", { N: 70, K: 48 }],
      ["matmulOverRows", { N: 70, K: 48 }],
      ["rmsNormBackward", { D: 40 }],
      ["attentionBackward", { n: 2, W: 16 }],
    ])("%s %j", async (op, numbers) => {
      const device = new Device("cpu", target, 1);
      let before = 0;
      for (let T = 0; T <= CAPACITY.rows; T++) {
        const bytes = await workspaceOf(device, op, { ...numbers, T });
        if (bytes < before) throw new Error(`${T} rows: ${bytes} bytes, and ${before} for fewer`);
        before = bytes;
      }
      await device.dispose();
    });
  },
);
