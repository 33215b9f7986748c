// The parameters of a model as state that learns: vectors of f32, in which every tensor of the model has the same place: its values,
// gradients and the optimizer's two moments, and their mean over the end of a run, where one is wanted. First come the matrices that
// AdamW has, then the norms, which do not decay, then the matrices that Muon has: their variance is a number a row, and lies behind the
// others. A tensor begins at a cache line, and what lies between is 0 and stays it.
import type { ProgramDevice } from "../device/device.js";
import { elementsOf, type Shape, type Tensor } from "../device/tensor.js";
import { QuipuError } from "../errors.js";
import type { LlamaConfig } from "../model/config.js";
import { expectedTensors } from "../model/tensors.js";

/** What there is of a parameter. */
export const PARTS = ["parameter", "gradient", "momentum", "variance", "average"] as const;
export type Part = (typeof PARTS)[number];

/** AdamW alone, or Muon for the matrices of the layers and AdamW for embedding, head and norms. */
export const OPTIMIZERS = ["adamw", "muon"] as const;
export type Optimizer = (typeof OPTIMIZERS)[number];

export interface ParameterOptions {
  readonly optimizer: Optimizer;
  /** Whether there is a mean of the parameters, too. */
  readonly averages: boolean;
}

type Expected = { readonly name: string; readonly shape: Shape };

/** Elements of a cache line. */
const LINE = 16;

export class Parameters {
  /** By their Hugging Face names, in the order of the model; a tied head is not there. */
  readonly shapes: ReadonlyMap<string, Shape>;
  /** What there is. */
  readonly parts: readonly Part[];
  /** All of a part, [E], but of variance, which Muon has less of. */
  readonly all: Readonly<Partial<Record<Part, Tensor>> & Record<Exclude<Part, "average">, Tensor>>;
  /** Parameters of the model, without what lies between. */
  readonly count: number;
  /** Elements of the matrices that AdamW has, which are the first of a vector, and where all that it has ends. */
  readonly matrixElements: number;
  readonly adamWElements: number;
  /** Names of the matrices that Muon has. */
  readonly ofMuon: readonly string[];
  readonly #device: ProgramDevice;
  readonly #views = new Map<string, Readonly<Partial<Record<Part, Tensor>>>>();

  /** @throws {QuipuError} ERR_MODEL_UNSUPPORTED for more than a size can say, ERR_OUT_OF_MEMORY. */
  constructor(device: ProgramDevice, config: LlamaConfig, { optimizer, averages }: ParameterOptions) {
    this.#device = device;
    const expected = expectedTensors(config);
    this.shapes = new Map(expected.map(({ name, shape }) => [name, shape]));
    this.count = expected.reduce((sum, { shape }) => sum + elementsOf(shape), 0);
    const isMatrix = ({ shape }: Expected) => shape.length === 2;
    const isOfMuon = (tensor: Expected) =>
      optimizer === "muon" && isMatrix(tensor) && tensor.name.startsWith("model.layers.");
    this.ofMuon = expected.filter(isOfMuon).map(({ name }) => name);
    const firsts = new Map<string, number>();
    let end = 0;
    const lay = (tensors: readonly Expected[]) => {
      for (const { name, shape } of tensors) {
        firsts.set(name, end);
        end += wholeLines(elementsOf(shape));
      }
      return end;
    };
    this.matrixElements = lay(expected.filter((tensor) => isMatrix(tensor) && !isOfMuon(tensor)));
    this.adamWElements = lay(expected.filter((tensor) => !isMatrix(tensor)));
    lay(expected.filter(isOfMuon));
    const variances = new Map(firsts);
    let endOfVariances = this.adamWElements;
    for (const name of this.ofMuon) {
      variances.set(name, endOfVariances);
      endOfVariances += wholeLines(this.shapes.get(name)![0]!);
    }
    if (end >= 2 ** 32) {
      throw new QuipuError(
        "ERR_MODEL_UNSUPPORTED",
        `the model has ${this.count} parameters: this version trains models of fewer than 4.29 billion`,
      );
    }
    const made: Tensor[] = [];
    const allocate = (part: Part, elements = end) => {
      const tensor = device.allocate(part, "f32", [elements]);
      made.push(tensor);
      return tensor;
    };
    try {
      const [parameter, gradient, momentum] = [allocate("parameter"), allocate("gradient"), allocate("momentum")];
      const all = { parameter, gradient, momentum, variance: allocate("variance", endOfVariances) };
      this.all = averages ? { ...all, average: allocate("average") } : all;
    } catch (error) {
      for (const tensor of made) device.free(tensor);
      throw error;
    }
    this.parts = PARTS.filter((part) => this.all[part] !== undefined);
    for (const { name, shape } of expected) {
      const ofMuon = this.ofMuon.includes(name);
      const view = (part: Part): Tensor => ({
        ...{ ...this.all[part]!, name: part === "parameter" ? name : `${part} of ${name}` },
        offset: 4 * (part === "variance" ? variances : firsts).get(name)!,
        shape: part === "gradient" ? matrixShape(shape) : part === "variance" && ofMuon ? [shape[0]!] : shape,
      });
      this.#views.set(name, Object.fromEntries(this.parts.map((part) => [part, view(part)])));
    }
  }

  /**
   * A part of one parameter: of its shape, but gradients of vectors [D] are [1, D], as differentiate wants them, and the variance of a
   * matrix [N, K] that Muon has is [N].
   */
  part(name: string, part: Part): Tensor {
    const tensor = this.#views.get(name)?.[part];
    if (tensor === undefined) throw new QuipuError("ERR_INTERNAL", `there is no ${part} of ${name}`);
    return tensor;
  }

  /** Elements first … end − 1 of a part of all, [end − first]. */
  range(part: Part, first: number, end: number): Tensor {
    const whole = this.all[part]!;
    return { ...whole, name: `${part} ${first} … ${end}`, offset: 4 * first, shape: [end - first] };
  }

  dispose(): void {
    for (const part of this.parts) this.#device.free(this.all[part]!);
  }
}

function wholeLines(elements: number): number {
  return Math.ceil(elements / LINE) * LINE;
}

function matrixShape(shape: Shape): Shape {
  return shape.length === 1 ? [1, ...shape] : shape;
}
