// Expressions as closures.
import { NO_KWARGS } from "./arguments.js";
import { getAttribute, getItem } from "./attributes.js";
import { spend } from "./budget.js";
import { JinjaError, typeError, unsupported } from "./errors.js";
import { filters, tests } from "./filters.js";
import { type Evaluate, undefinedName } from "./frame.js";
import { isSliceable, slice, toArray } from "./iteration.js";
import type { Arguments, CallNode, Expression, FilterNode, Node } from "./nodes.js";
import { binary, compare, concat, unary } from "./operators.js";
import { stringRepr } from "./printing.js";
import { atLine } from "./rendering.js";
import { reader, type Scope } from "./scope.js";
import {
  float,
  int,
  type Kwargs,
  PyCallable,
  PyDict,
  PyFloat,
  PyTuple,
  refuseUndefined,
  textOf,
  truthy,
  typeName,
  Undefined,
  type Value,
} from "./values.js";
import { anyWithin, childrenOf } from "./walk.js";

/** The value of an expression within others or of a statement; `{{ … }}` takes one as it is. */
export function compileExpression(node: Expression, scope: Scope): Evaluate {
  const evaluate = compilePrinted(node, scope);
  if (!isFolded(node)) return evaluate;
  return (frame) => {
    const value = evaluate(frame);
    // Jinja2 writes a constant that is infinite into its code as a name, which Python does not know.
    if (value instanceof PyFloat && !Number.isFinite(value.value))
      throw unsupported("an infinite or undefined constant");
    return value;
  };
}

/** Whether Jinja2 computes an expression beforehand: it reads no name and calls nothing, at least where it would be evaluated. */
function isFolded(node: Expression): boolean {
  return node.type !== "const" && isConstant(node);
}

/** Of each node once: asked at every level, a long chain would take the square of its length. */
const constants = new WeakMap<Node, boolean>();

function isConstant(node: Node): boolean {
  let known = constants.get(node);
  if (known === undefined) {
    spend(1);
    known = node.type !== "name" && node.type !== "call" && childrenOf(node).every(isConstant);
    constants.set(node, known);
  }
  return known;
}

/** An expression that `{{ … }}` prints. */
export function compilePrinted(node: Expression, scope: Scope): Evaluate {
  const compile = (child: Expression) => compileExpression(child, scope);
  switch (node.type) {
    case "const": {
      const { value } = node;
      return () => value;
    }
    case "number": {
      const value = numberLiteral(node.text, node.isFloat, node.line);
      return () => value;
    }
    case "name": {
      const variable = scope.symbols.ref(node.name);
      const read = reader(scope, variable);
      const missing = undefinedName(node.name);
      const isParameter = !scope.inDefaults && scope.symbols.isParameter(variable);
      return (frame) => {
        const value = read(frame);
        if (value !== undefined) return value;
        // A macro that outlived the loop around it: Jinja2 prints the word "missing".
        if (isParameter) throw unsupported(`the name ${node.name}, whose loop has ended`);
        return missing;
      };
    }
    case "list": {
      const items = node.items.map(compile);
      return (frame) => {
        spend(1 + items.length);
        return items.map((item) => item(frame));
      };
    }
    case "tuple": {
      const items = node.items.map(compile);
      return (frame) => {
        spend(1 + items.length);
        return new PyTuple(items.map((item) => item(frame)));
      };
    }
    case "dict": {
      const pairs = node.items.map(([key, value]) => [compile(key), compile(value)] as const);
      return (frame) => {
        spend(4 + pairs.length);
        const dict = new PyDict();
        for (const [key, value] of pairs) dict.set(key(frame), value(frame));
        return dict;
      };
    }
    case "condition": {
      const soft = { ...scope, soft: true };
      const test = compileExpression(node.test, soft);
      const value = compileExpression(node.value, soft);
      const missing = new Undefined(
        `the inline if-expression on line ${node.line} evaluated to false and no else section was defined.`,
      );
      const otherwise = node.otherwise === undefined ? () => missing : compileExpression(node.otherwise, soft);
      return (frame) => {
        spend(1);
        return truthy(test(frame)) ? value(frame) : otherwise(frame);
      };
    }
    case "binary": {
      const [left, right, { op }] = [compile(node.left), compile(node.right), node];
      if (op === "and" || op === "or") {
        return (frame) => {
          spend(1);
          const value = left(frame);
          return truthy(value) === (op === "and") ? right(frame) : value;
        };
      }
      return (frame) => {
        spend(1);
        const a = left(frame);
        return binary(op, a, right(frame));
      };
    }
    case "unary": {
      const [operand, { op }] = [compile(node.operand), node];
      return (frame) => {
        spend(1);
        const value = operand(frame);
        return op === "not" ? !truthy(value) : unary(op, value);
      };
    }
    case "concat": {
      const parts = node.parts.map(compile);
      return (frame) => {
        spend(parts.length);
        return concat(parts.map((part) => part(frame)));
      };
    }
    case "compare": {
      const first = compile(node.first);
      const rest = node.rest.map(({ op, operand }) => ({ op, operand: compile(operand) }));
      return (frame) => {
        let left = first(frame);
        for (const { op, operand } of rest) {
          spend(1);
          const right = operand(frame);
          if (!compare(op, left, right)) return false;
          left = right;
        }
        return true;
      };
    }
    case "attribute": {
      const [object, { name }] = [compile(node.object), node];
      return (frame) => {
        spend(2);
        return getAttribute(object(frame), name);
      };
    }
    case "item": {
      const [object, key] = [compile(node.object), compile(node.key)];
      return (frame) => {
        spend(2);
        const container = object(frame);
        return getItem(container, key(frame));
      };
    }
    case "slice": {
      const object = compile(node.object);
      const bounds = node.bounds.map((bound) => bound && compile(bound));
      // Of a condition only the branch that is taken counts: it may be a constant.
      const folded =
        isFolded(node) || anyWithin([node.object], ({ type }) => type === "condition" || type === "binary");
      return (frame) => {
        spend(1);
        const value = object(frame);
        // Jinja2 computes constants beforehand, where it reads such a slice as undefined in some places and refuses it in others.
        if (folded && !isSliceable(value)) throw unsupported("a slice of a constant that has none");
        return slice(
          value,
          bounds.map((bound) => bound?.(frame)),
        );
      };
    }
    case "call":
      return compileCall(node, scope);
    case "filter":
      return compileFilter(node, scope, node.operand && compile(node.operand));
    case "test":
      return compileNamed("test", node, scope, compile(node.operand));
  }
}

/** A call, with the body of a call block as its caller where there is one. */
export function compileCall(node: CallNode, scope: Scope, caller?: Evaluate): Evaluate {
  const callee = compileExpression(node.callee, scope);
  const args = compileArguments(node, scope, caller);
  const { line } = node;
  return (frame) => {
    const value = callee(frame);
    const given = args(frame);
    spend(8 + given.args.length);
    refuseUndefined(value);
    if (!(value instanceof PyCallable)) throw typeError(`'${typeName(value)}' object is not callable`);
    const result = value.call(given.args, given.kwargs);
    atLine(line);
    return result;
  };
}

/** A filter of `operand`; of a block, whose text `operand` gives. */
export function compileFilter(node: FilterNode, scope: Scope, operand: Evaluate | undefined): Evaluate {
  if (operand === undefined) throw new JinjaError("AssertionError", "a filter without a value", node.line);
  return compileNamed("filter", node, scope, operand);
}

function compileNamed(
  kind: "filter" | "test",
  node: { readonly name: string; readonly line: number } & Arguments,
  scope: Scope,
  operand: Evaluate,
): Evaluate {
  const { name, line } = node;
  const run = (kind === "filter" ? filters : tests).get(name);
  if (run === undefined && !scope.soft) {
    throw new JinjaError("TemplateAssertionError", `No ${kind} named ${stringRepr(name)}.`, line);
  }
  const args = compileArguments(node, scope);
  return (frame) => {
    if (run === undefined) throw new JinjaError("TemplateRuntimeError", `No ${kind} named ${stringRepr(name)} found.`);
    const value = operand(frame);
    const given = args(frame);
    spend(2 + given.args.length);
    return run(value, given.args, given.kwargs);
  };
}

interface Given {
  readonly args: readonly Value[];
  readonly kwargs: Kwargs;
}

const NOTHING_GIVEN: Given = { args: [], kwargs: NO_KWARGS };

function compileArguments(node: Arguments, scope: Scope, caller?: Evaluate): (frame: Parameters<Evaluate>[0]) => Given {
  const args = node.args.map((arg) => compileExpression(arg, scope));
  const kwargs = node.kwargs.map(({ name, value }) => [name, compileExpression(value, scope)] as const);
  const moreArgs = node.moreArgs && compileExpression(node.moreArgs, scope);
  const moreKwargs = node.moreKwargs && compileExpression(node.moreKwargs, scope);
  if (caller === undefined && moreArgs === undefined && moreKwargs === undefined && kwargs.length === 0) {
    if (args.length === 0) return () => NOTHING_GIVEN;
    return (frame) => ({ args: args.map((arg) => arg(frame)), kwargs: NO_KWARGS });
  }
  return (frame) => {
    const positional = args.map((arg) => arg(frame));
    if (moreArgs !== undefined) positional.push(...toArray(moreArgs(frame)));
    const named = new Map<string, Value>();
    spend(4 + kwargs.length);
    for (const [name, value] of kwargs) named.set(name, value(frame));
    if (caller !== undefined) addKeyword(named, "caller", caller(frame));
    if (moreKwargs !== undefined) addMapping(named, moreKwargs(frame));
    return { args: positional, kwargs: named };
  };
}

function addMapping(named: Map<string, Value>, mapping: Value): void {
  if (!(mapping instanceof PyDict)) throw typeError("argument after ** must be a mapping");
  for (const [key, value] of mapping.entries()) {
    spend(2);
    const name = textOf(key);
    if (name === undefined) throw typeError("keywords must be strings");
    addKeyword(named, name, value);
  }
}

function addKeyword(named: Map<string, Value>, name: string, value: Value): void {
  if (named.has(name)) throw typeError(`got multiple values for keyword argument '${name}'`);
  named.set(name, value);
}

function numberLiteral(text: string, isFloat: boolean, line: number): Value {
  if (isFloat) return float(Number(text));
  if (/^\d/.test(text) && text.length > 4300) {
    throw new JinjaError("TemplateSyntaxError", "Exceeds the limit (4300 digits) for integer string conversion", line);
  }
  return int(BigInt(text));
}
