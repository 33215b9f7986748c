// Jinja templates as transformers 5.24 renders them: Jinja2 3.1.6's immutable sandbox with trim_blocks, lstrip_blocks, loop controls,
// a plain tojson, raise_exception, strftime_now and the generation tag. What Python refuses is an error here; what we cannot do as
// Python does is one too (kind `Unsupported`); never another text.
import { DEFAULT_STEPS, type Limits, withBudget } from "./budget.js";
import { compileTemplate } from "./compile-statements.js";
import { JinjaError } from "./errors.js";
import { Context } from "./frame.js";
import { fromJavaScript } from "./from-javascript.js";
import { globalsOf } from "./globals.js";
import { parse } from "./parser.js";
import { rendered } from "./rendering.js";
import type { Value } from "./values.js";

export { parseJson } from "./json.js";
export { float, type Value } from "./values.js";
export { DEFAULT_STEPS, JinjaError, type Limits };

export interface JinjaOptions {
  /** What strftime_now takes for now. By default the machine's clock. */
  readonly now?: () => Date;
}

export class JinjaTemplate {
  readonly #run: (context: Context) => void;
  readonly #now: () => Date;

  /** @throws {JinjaError} with the line; LimitError, TemplateSyntaxError, TemplateAssertionError or Unsupported */
  constructor(source: string, { now = () => new Date() }: JinjaOptions = {}) {
    this.#now = now;
    try {
      this.#run = withBudget({}, () => compileTemplate(parse(source)));
    } catch (error) {
      if (error instanceof RangeError) throw new JinjaError("RecursionError", "the template nests too deep");
      throw error;
    }
  }

  /**
   * The text. The context's values are converted as `fromJavaScript` says; a variable that is undefined is absent.
   *
   * @throws {JinjaError} with the line: the class that Python raises, or LimitError, RecursionError, Unsupported
   */
  render(context: ReadonlyMap<string, unknown> | Readonly<Record<string, unknown>>, limits: Limits = {}): string {
    return withBudget(limits, () =>
      rendered(() => {
        const given = globalsOf(this.#now);
        for (const [name, value] of context instanceof Map ? context : Object.entries(context)) {
          if (value !== undefined) given.set(name, fromJavaScript(value));
        }
        this.#run(new Context(given as Map<string, Value>));
      }),
    );
  }
}
