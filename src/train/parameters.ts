// The parameters of a model as state that learns: four vectors of f32, in which every tensor of the model has the same place: its
// values, gradients and AdamW's two moments. Matrices come first, then the norms, which do not decay; a tensor begins at a cache
// line, and what lies between is 0 and stays it.
import type { ProgramDevice } from "../device/device.js";
import { elementsOf, type Shape, type Tensor } from "../device/tensor.js";
import { QuipuError } from "../errors.js";
import type { LlamaConfig } from "../model/config.js";
import { expectedTensors } from "../model/tensors.js";

/** What there is of a parameter. */
export const PARTS = ["parameter", "gradient", "momentum", "variance"] as const;
export type Part = (typeof PARTS)[number];

/** Elements of a cache line. */
const LINE = 16;

export class Parameters {
  /** By their Hugging Face names, in the order of the model; a tied head is not there. */
  readonly shapes: ReadonlyMap<string, Shape>;
  /** All of a part, [E]. */
  readonly all: Readonly<Record<Part, Tensor>>;
  /** Parameters of the model, without what lies between. */
  readonly count: number;
  /** Elements of all matrices, which are the first of a vector. */
  readonly matrixElements: number;
  readonly #device: ProgramDevice;
  readonly #views = new Map<string, Readonly<Record<Part, Tensor>>>();

  /** @throws {QuipuError} ERR_MODEL_UNSUPPORTED for more than a size can say, ERR_OUT_OF_MEMORY. */
  constructor(device: ProgramDevice, config: LlamaConfig) {
    this.#device = device;
    const expected = expectedTensors(config);
    this.shapes = new Map(expected.map(({ name, shape }) => [name, shape]));
    this.count = expected.reduce((sum, { shape }) => sum + elementsOf(shape), 0);
    const isMatrix = ({ shape }: { shape: Shape }) => shape.length === 2;
    const firsts = new Map<string, number>();
    let end = 0;
    const lay = (tensors: typeof expected) => {
      for (const { name, shape } of tensors) {
        firsts.set(name, end);
        end += Math.ceil(elementsOf(shape) / LINE) * LINE;
      }
      return end;
    };
    this.matrixElements = lay(expected.filter(isMatrix));
    lay(expected.filter((tensor) => !isMatrix(tensor)));
    if (end >= 2 ** 32) {
      throw new QuipuError(
        "ERR_MODEL_UNSUPPORTED",
        `the model has ${this.count} parameters: this version trains models of fewer than 4.29 billion`,
      );
    }
    const made: Tensor[] = [];
    const allocate = (part: Part) => {
      const tensor = device.allocate(part, "f32", [end]);
      made.push(tensor);
      return tensor;
    };
    try {
      const [parameter, gradient] = [allocate("parameter"), allocate("gradient")];
      this.all = { parameter, gradient, momentum: allocate("momentum"), variance: allocate("variance") };
    } catch (error) {
      for (const tensor of made) device.free(tensor);
      throw error;
    }
    for (const { name, shape } of expected) {
      const view = (part: Part, as: Shape): Tensor => ({
        ...{ ...this.all[part], name: part === "parameter" ? name : `${part} of ${name}` },
        ...{ offset: 4 * firsts.get(name)!, shape: as },
      });
      const gradientShape = shape.length === 1 ? [1, ...shape] : shape; // as differentiate wants it
      this.#views.set(name, {
        parameter: view("parameter", shape),
        gradient: view("gradient", gradientShape),
        momentum: view("momentum", shape),
        variance: view("variance", shape),
      });
    }
  }

  /** A part of one parameter: of its shape, but gradients of vectors [D] are [1, D]. */
  part(name: string, part: Part): Tensor {
    const views = this.#views.get(name);
    if (views === undefined) throw new QuipuError("ERR_INTERNAL", `${name} is no parameter of the model`);
    return views[part];
  }

  /** Elements first … end − 1 of a part of all, [end − first]. */
  range(part: Part, first: number, end: number): Tensor {
    const whole = this.all[part];
    return { ...whole, name: `${part} ${first} … ${end}`, offset: 4 * first, shape: [end - first] };
  }

  /** Elements of all. */
  get elements(): number {
    return this.all.parameter.shape[0]!;
  }

  dispose(): void {
    for (const part of PARTS) this.#device.free(this.all[part]);
  }
}
