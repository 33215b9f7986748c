// What ptxas has made of the kernels: registers, shared memory, blocks on a processor at once, tensor-core instructions and loads of 16
// bytes, held against the table of docs/cuda-kernels.md.
import { execFileSync } from "node:child_process";

const NARROW = ["f16", "summed", "rotated"]; // native/cuda/kernels/rows.h
const DTYPES = ["f32", "f16", "bf16", "i32", "i8", "q8", "q6", "q4"]; // native/core/formats.inc

/**
 * CUDA C++ Programming Guide, technical specifications by compute capability; units in which registers of a warp and shared memory of a
 * block are given out, and the four partitions of a processor that warps are shared out to: cuda_occupancy.h. The driver has 1 kB of every
 * block's shared memory.
 */
const PROCESSORS = {
  80: { threads: 2048, blocks: 32, shared: 164 * 1024 },
  89: { threads: 1536, blocks: 24, shared: 100 * 1024 },
  90: { threads: 2048, blocks: 32, shared: 228 * 1024 },
};
const [WARP, REGISTERS, REGISTER_UNIT, PARTITIONS, SHARED_UNIT, DRIVER_SHARED] = [32, 65536, 256, 4, 128, 1024];

export const ARCHITECTURES = Object.keys(PROCESSORS);

/** What is counted of every kernel, and which of two the row of several says. */
const COUNTS = [
  ["registers", Math.max],
  ["stack", Math.max],
  ["local", Math.max],
  ["mma", Math.min],
  ["loads", Math.min],
];

const unitsOf = (count, unit) => Math.ceil(count / unit) * unit;

/** Blocks of a kernel that a processor of `architecture` has at once. */
export function blocksOf(architecture, { threads, registers, shared }) {
  const limits = PROCESSORS[architecture];
  const warps = Math.ceil(threads / WARP);
  const warpsByRegisters = Math.floor(REGISTERS / unitsOf(registers * WARP, REGISTER_UNIT));
  return Math.min(
    limits.blocks,
    Math.floor(limits.threads / (warps * WARP)),
    Math.floor((Math.floor(warpsByRegisters / PARTITIONS) * PARTITIONS) / warps),
    Math.floor(limits.shared / unitsOf(shared + DRIVER_SHARED, SHARED_UNIT)),
  );
}

/** Readable names of symbols, in their order: as C++ has them, without the namespace and the parameters. */
export function readable(symbols) {
  const told = execFileSync("c++filt", { input: symbols.join("\n"), encoding: "utf8" })
    .trimEnd()
    .split("\n");
  return told.map(plain);
}

/** A demangled kernel without the namespace and the parameters. */
export function plain(name) {
  const short = name
    .replaceAll(/_GLOBAL__N__\w+|\(anonymous namespace\)/g, "")
    .replaceAll(/quipu::cuda::|quipu::|(?<![\w>])::/g, "")
    .replace(/^void /, "");
  let depth = 0;
  for (const [at, letter] of [...short].entries()) {
    if (letter === "<") depth++;
    if (letter === ">") depth--;
    if (letter === "(" && depth === 0 && at > 0) return short.slice(0, at);
  }
  return short;
}

/** The row of the table that a kernel belongs to: those of a product are the same but for the op that they are of. */
export function rowOf(name) {
  return name
    .replace(/, \w+Op>$/, ">")
    .replace(/<\w+Op>$/, "")
    .replace("DenseFormat", "dense")
    .replace(/PackedFormat<\(DType\)(\d)>/, (_, dtype) => DTYPES[dtype])
    .replace(/\(DType\)(\d)/, (_, dtype) => DTYPES[dtype])
    .replace(/\(Narrow\)(\d)/, (_, narrow) => NARROW[narrow])
    .replace(", true>", ", inline>")
    .replace(/(productKernel<.*), false>/, "$1>");
}

/**
 * What the images of `architecture` in a module have, by kernel.
 *
 * @param {(args: string[]) => string} cuobjdump runs it on the module.
 */
export function resourcesIn(cuobjdump, architecture) {
  const found = new Map();
  const usage = cuobjdump(["-arch", `sm_${architecture}`, "--dump-resource-usage"]);
  for (const [, symbol, line] of usage.matchAll(/Function (\S+):\s*\n\s*(REG:.*)/g)) {
    const number = (name) => Number(new RegExp(`\\b${name}:(\\d+)`).exec(line)[1]);
    const [registers, stack, local, all] = ["REG", "STACK", "LOCAL", "SHARED"].map(number);
    const shared = Number(architecture) >= 90 ? all - DRIVER_SHARED : all; // whose own is in it there
    found.set(symbol, { registers, stack: stack + local, shared, local: 0, mma: 0, loads: 0 });
  }
  let kernel;
  for (const line of cuobjdump(["-arch", `sm_${architecture}`, "--dump-sass"]).split("\n")) {
    const symbol = /Function : (\S+)/.exec(line)?.[1];
    if (symbol !== undefined) kernel = found.get(symbol);
    if (kernel === undefined) continue;
    if (/\b(STL|LDL)\b/.test(line)) kernel.local++;
    if (/\bHMMA\.16816\b/.test(line)) kernel.mma++;
    if (/\b(LDG|LDGSTS)\.[\w.]*\b128\b/.test(line)) kernel.loads++;
  }
  const names = readable([...found.keys()]);
  return new Map([...found.values()].map((resources, i) => [names[i], resources]));
}

/**
 * Rows of the table, of what has been measured.
 *
 * @param measured by architecture, by kernel: {@link resourcesIn}.
 * @param launches by row: threads and the most shared memory that a launch asked for.
 * @param wavefronts by kernel: how many times the fewest that its accesses of shared memory could take.
 */
export function tableOf(measured, launches, wavefronts) {
  const rows = new Map();
  for (const [architecture, kernels] of Object.entries(measured)) {
    for (const [name, resources] of kernels) {
      const key = rowOf(name);
      const row = rows.get(key) ?? {
        ...launches.get(key),
        shared: 0,
        ...Object.fromEntries(COUNTS.map(([count]) => [count, {}])),
      };
      rows.set(key, row);
      row.shared = Math.max(row.shared, resources.shared);
      row.wavefronts = Math.max(row.wavefronts ?? 0, Number(wavefronts[name]?.toFixed(2)));
      for (const [count, worse] of COUNTS)
        row[count][architecture] = worse(row[count][architecture] ?? resources[count], resources[count]);
    }
  }
  for (const row of rows.values()) {
    row.blocks = {};
    for (const [architecture, registers] of Object.entries(row.registers))
      row.blocks[architecture] = blocksOf(architecture, { ...row, registers, shared: row.shared + row.dynamic });
  }
  return rows;
}

const COLUMNS = ["kernel", "threads", "shared memory", "registers", "stack", "local", "mma", "16-byte loads", "blocks"];
COLUMNS.push("wavefronts");
const slashed = (numbers) => {
  const values = Object.values(numbers);
  return values.every((value) => value === values[0]) ? String(values[0]) : values.join(" / ");
};

/** The table as docs/cuda-kernels.md has it. */
export function markdownOf(rows) {
  const lines = [...rows]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, row]) => [
      ...[`\`${name}\``, row.threads, `${row.shared} + ${row.dynamic}`],
      ...[...COUNTS.map(([count]) => row[count]), row.blocks].map(slashed),
      row.wavefronts.toFixed(2),
    ]);
  return [COLUMNS, COLUMNS.map(() => "---"), ...lines].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

/** Of kernels that a token's or a prompt's time is in, as docs/cuda.md has it. */
export function essentialsOf(rows) {
  const names = ["productKernel<dense, 1, inline>", "productKernel<q4, 1, inline>", "denseKernel", "wideKernel<q4>"];
  names.push("chunkKernel<64>", "chunkKernel<128>", "promptKernel<64>", "promptKernel<128>", "sampleKernel");
  const lines = names
    .filter((name) => rows.has(name))
    .map((name) => [
      `\`${name}\``,
      slashed(rows.get(name).registers),
      kilobytes(rows.get(name)),
      slashed(rows.get(name).blocks),
    ]);
  const columns = ["of sm_80 / 89 / 90", "registers", "shared memory, kB", "blocks a processor"];
  return [columns, columns.map(() => "---"), ...lines].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

const kilobytes = ({ shared, dynamic }) => ((shared + dynamic) / 1024).toFixed(0);

/** What docs/cuda-kernels.md says: rows as {@link tableOf} has them. */
export function documented(text) {
  const rows = new Map();
  for (const [, name, threads, shared, dynamic, rest, wavefronts] of text.matchAll(
    /^\| `(.*?)` \| (\d+) \| (\d+) \+ (\d+) \| ([\d |/]+) \| ([\d.]+) \|$/gm,
  )) {
    const lists = rest.split(" | ").map((list) => {
      const values = list.split(" / ").map(Number);
      return Object.fromEntries(ARCHITECTURES.map((each, i) => [each, values[values.length === 1 ? 0 : i]]));
    });
    const counts = Object.fromEntries(
      [...COUNTS.map(([count]) => count), "blocks"].map((count, i) => [count, lists[i]]),
    );
    rows.set(name, { threads: +threads, shared: +shared, dynamic: +dynamic, ...counts, wavefronts: +wavefronts });
  }
  return rows;
}

/** What is wrong with the kernels: one line each. */
export function problemsOf(rows, budgets) {
  const problems = [];
  for (const name of budgets.keys()) if (!rows.has(name)) problems.push(`${name} is in the table, and no kernel`);
  for (const [name, row] of rows) {
    const budget = budgets.get(name);
    if (budget === undefined) {
      problems.push(`${name} is not in the table`);
      continue;
    }
    const compare = (what, got, expected, exceeds, architecture) => {
      const where = architecture === undefined ? name : `sm_${architecture} ${name}`;
      if (exceeds(got, expected)) problems.push(`${where}: ${what}: ${got}, the table has ${expected}`);
    };
    const [more, less, other] = [(a, b) => a > b, (a, b) => a < b, (a, b) => a !== b];
    compare("threads", row.threads, budget.threads, other);
    compare("bytes of static shared memory", row.shared, budget.shared, more);
    compare("bytes of dynamic shared memory", row.dynamic, budget.dynamic, other);
    compare("times the fewest wavefronts of shared memory", row.wavefronts, budget.wavefronts, more);
    for (const architecture of Object.keys(row.registers)) {
      const at = (numbers) => numbers[architecture];
      compare("registers", at(row.registers), at(budget.registers), more, architecture);
      compare("bytes of stack", at(row.stack), at(budget.stack), more, architecture);
      compare("accesses of local memory", at(row.local), at(budget.local), more, architecture);
      compare("mma instructions", at(row.mma), at(budget.mma), other, architecture);
      compare("loads of 16 bytes", at(row.loads), at(budget.loads), less, architecture);
      compare("blocks on a processor", at(row.blocks), at(budget.blocks), less, architecture);
    }
  }
  return problems;
}
