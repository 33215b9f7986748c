// Loops: over anything, with a filter, recursive, and what happens where there was nothing.
import { spend } from "./budget.js";
import { compileExpression } from "./compile-expressions.js";
import { compileTarget } from "./compile-target.js";
import { JinjaError } from "./errors.js";
import { BREAK, type Evaluate, type Execute, type Frame, NEXT } from "./frame.js";
import { iterate } from "./iteration.js";
import { Loop } from "./loop.js";
import type { ForNode, Target } from "./nodes.js";
import { atLine, capture, write } from "./rendering.js";
import {
  entering,
  functionScope,
  innerScope,
  leaving,
  reader,
  type Scope,
  siblingScope,
  type Template,
} from "./scope.js";
import { PyIterator, PyTuple, truthy, type Value } from "./values.js";
import { anyWithin, undeclared } from "./walk.js";

type Recurse = (iterable: Value, depth: number) => Value;
type Run = (frame: Frame, iterable: Value, recurse?: Recurse, depth?: number) => 0 | 1 | 2;

export function compileLoop(node: ForNode, outer: Scope, template: Template): Execute {
  if (anyWithin([node], (child) => child.type === "name" && child.use === "store" && child.name === "loop")) {
    throw new JinjaError(
      "TemplateAssertionError",
      "Can't assign to special loop variable in for-loop target",
      node.line,
    );
  }
  const filtered = node.test && compileTest(node, node.test, outer);
  const iterable = compileExpression(node.iterable, outer);
  const { line } = node;
  if (!node.recursive) {
    const run = compileRun(node, innerScope(outer), innerScope(outer), template);
    return (frame) => {
      atLine(line);
      spend(1);
      const items = iterable(frame);
      return run(frame, filtered === undefined ? items : filtered(frame, items));
    };
  }
  // A recursive loop is a function of what it walks over, which its body can call as `loop`.
  const own = functionScope(outer);
  const run = compileRun(node, own, siblingScope(own), template);
  return (frame) => {
    atLine(line);
    spend(1);
    const recurse: Recurse = (items, depth) => {
      const inner: Frame = { vars: [], parent: frame, context: frame.context };
      return capture(() => run(inner, filtered === undefined ? items : filtered(frame, items), recurse, depth)).text;
    };
    write(recurse(iterable(frame), 0) as string);
    return NEXT;
  };
}

/** The loop itself, in a function whose variables `scope` and `elseScope` are. */
function compileRun(node: ForNode, scope: Scope, elseScope: Scope, template: Template): Run {
  const { symbols } = scope;
  const extended =
    node.recursive ||
    undeclared(node.body, ["loop"]).has("loop") ||
    anyWithin([node], (child) => child.type === "block" && child.scoped);
  const loopSlot = extended ? symbols.declareParameter("loop").slot : undefined;
  symbols.analyzeLoop(node, "body");
  const assign = compileTarget(node.target, scope);
  const body = template.compile(node.body, { ...scope, inLoop: true });
  const enter = entering(scope);
  const leave = leaving(scope);
  const otherwise = node.otherwise.length > 0 ? compileElse(node, elseScope, template) : undefined;
  return (frame, iterable, recurse, depth) => {
    let completed = false;
    const loop = loopSlot === undefined ? undefined : new Loop(iterable, recurse, depth);
    const items = loop ?? iterate(iterable);
    for (let next = items.next(); !next.done; next = items.next()) {
      assign(frame, next.value);
      if (loopSlot !== undefined) frame.vars[loopSlot] = loop!;
      enter(frame);
      const ending = body(frame);
      if (ending === BREAK) break;
      // As in Jinja2, an iteration that break or continue ended does not count.
      if (ending === NEXT) completed = true;
    }
    leave(frame);
    return completed || otherwise === undefined ? NEXT : otherwise(frame);
  };
}

function compileElse(node: ForNode, scope: Scope, template: Template): Execute {
  scope.symbols.analyzeLoop(node, "otherwise");
  const body = template.compile(node.otherwise, scope);
  const enter = entering(scope);
  const leave = leaving(scope);
  return (frame) => {
    enter(frame);
    const ending = body(frame);
    if (ending === NEXT) leave(frame);
    return ending;
  };
}

/** The items that pass `test`: a generator in a function of its own, which runs as the loop asks for items. */
function compileTest(node: ForNode, test: ForNode["iterable"], outer: Scope): (frame: Frame, items: Value) => Value {
  const scope = functionScope(outer);
  scope.symbols.analyzeLoop(node, "test");
  const assign = compileTarget(node.target, scope);
  const passes = compileExpression(test, scope);
  const item = targetValue(node.target, scope);
  const enter = entering(scope);
  function* generate(parent: Frame, items: Value): Generator<Value> {
    const frame: Frame = { vars: [], parent, context: parent.context };
    enter(frame);
    for (const value of iterate(items)) {
      assign(frame, value);
      spend(1);
      if (truthy(passes(frame))) yield item(frame);
    }
  }
  return (frame, items) => new PyIterator(generate(frame, items));
}

function targetValue(target: Target, scope: Scope): Evaluate {
  if (target.type === "targets") {
    const items = target.items.map((item) => targetValue(item, scope));
    return (frame) => new PyTuple(items.map((item) => item(frame)));
  }
  const read = reader(scope, scope.symbols.ref(target.name));
  return (frame) => read(frame)!;
}
