// Macros and the bodies of call blocks.
import { spend } from "./budget.js";
import { compileExpression } from "./compile-expressions.js";
import { JinjaError } from "./errors.js";
import type { Frame } from "./frame.js";
import { Macro, type MacroShape } from "./macro.js";
import type { Signature, Statement } from "./nodes.js";
import { capture } from "./rendering.js";
import { entering, functionScope, type Scope, type Template } from "./scope.js";
import { Undefined } from "./values.js";
import { undeclared } from "./walk.js";

/** A function that makes the macro where its definition is reached. */
export function compileMacro(
  { params, defaults, body, line }: Signature & { readonly body: readonly Statement[]; readonly line: number },
  name: string | undefined,
  outer: Scope,
  template: Template,
): (frame: Frame) => Macro {
  const scope = functionScope(outer);
  const { symbols } = scope;
  symbols.analyze([...params, ...defaults]);
  const names = params.map((param) => param.name);
  const special = undeclared(body, ["caller", "kwargs", "varargs"]);
  if (special.has("caller") && names.includes("caller") && names.indexOf("caller") < names.length - defaults.length) {
    throw new JinjaError(
      "TemplateAssertionError",
      'When defining macros or call blocks the special "caller" argument must be omitted or be given a default.',
      line,
    );
  }
  const shape: MacroShape = {
    name,
    params: names,
    caller: special.has("caller"),
    kwargs: special.has("kwargs") && !names.includes("kwargs"),
    varargs: special.has("varargs") && !names.includes("varargs"),
  };
  const slots = names.map((param) => symbols.ref(param).slot);
  if (shape.caller && !names.includes("caller")) slots.push(symbols.declareParameter("caller").slot);
  if (shape.kwargs) slots.push(symbols.declareParameter("kwargs").slot);
  if (shape.varargs) slots.push(symbols.declareParameter("varargs").slot);
  symbols.analyze(body);
  const fallbacks = params.map((param, i) => {
    const value = defaults[i - params.length + defaults.length];
    const missing = new Undefined(`parameter '${param.name}' was not provided`);
    return value === undefined ? () => missing : compileExpression(value, { ...scope, inDefaults: true });
  });
  const run = template.compile(body, scope);
  const enter = entering(scope);
  return (parent) =>
    new Macro(shape, (args) => {
      spend(4 + slots.length * 2);
      const frame: Frame = { vars: [], parent, context: parent.context };
      slots.forEach((slot, i) => {
        frame.vars[slot] = args[i];
      });
      enter(frame);
      fallbacks.forEach((fallback, i) => {
        if (frame.vars[slots[i]!] === undefined) frame.vars[slots[i]!] = fallback(frame);
      });
      return capture(() => run(frame)).text;
    });
}
