// Statements as closures, with the scopes of jinja2/compiler.py.
import { spend } from "./budget.js";
import { compileCall, compileExpression, compileFilter, compilePrinted } from "./compile-expressions.js";
import { compileLoop } from "./compile-loop.js";
import { compileMacro } from "./compile-macro.js";
import { bindNamespaces, compileTarget } from "./compile-target.js";
import { JinjaError, typeError, unsupported } from "./errors.js";
import { BREAK, CONTINUE, type Ending, type Evaluate, type Execute, type Frame, NEXT } from "./frame.js";
import type { BlockNode, CallBlockNode, IfNode, Statement } from "./nodes.js";
import { str } from "./printing.js";
import { atLine, capture, write } from "./rendering.js";
import { blockScope, entering, innerScope, leaving, reader, rootScope, type Scope, type Template } from "./scope.js";
import { textOf, truthy, typeName, type Value } from "./values.js";
import { undeclared } from "./walk.js";

/** The whole template: gives a function that writes its text. */
export function compileTemplate(body: readonly Statement[]): (context: Frame["context"]) => void {
  const template: Template = { blocks: new Set(), compile: (nodes, scope) => compileBody(nodes, scope, template) };
  refuseSelf(body, ["self"]);
  const scope = rootScope();
  scope.symbols.analyze(body);
  const run = template.compile(body, scope);
  const enter = entering(scope);
  return (context) => {
    const frame: Frame = { vars: [], parent: undefined, context };
    enter(frame);
    run(frame);
  };
}

function refuseSelf(body: readonly Statement[], names: readonly string[]): void {
  const [name] = undeclared(body, names);
  if (name !== undefined) throw unsupported(`the name ${name}, which calls blocks`);
}

function compileBody(nodes: readonly Statement[], scope: Scope, template: Template): Execute {
  const parts = nodes.map((node) => compileStatement(node, scope, template));
  if (parts.length === 1) return parts[0]!;
  return (frame) => {
    for (const part of parts) {
      const ending = part(frame);
      if (ending !== NEXT) return ending;
    }
    return NEXT;
  };
}

function compileStatement(node: Statement, scope: Scope, template: Template): Execute {
  switch (node.type) {
    case "text": {
      const { text } = node;
      return () => {
        spend(1);
        write(text);
        return NEXT;
      };
    }
    case "print": {
      const [value, { line }] = [compilePrinted(node.value, scope), node];
      return (frame) => {
        atLine(line);
        spend(1);
        write(str(value(frame)));
        return NEXT;
      };
    }
    case "for":
      return compileLoop(node, scope, template);
    case "if":
      return compileIf(node, scope, template);
    case "macro": {
      const macro = compileMacro(node, node.name, scope, template);
      const assign = compileTarget({ type: "name", name: node.name, use: "store", line: node.line }, scope);
      return (frame) => {
        spend(8);
        assign(frame, macro(frame));
        return NEXT;
      };
    }
    case "callBlock":
      return compileCallBlock(node, scope, template);
    case "filterBlock":
    case "setBlock":
      return compileCapture(node, scope, template);
    case "with": {
      const inner = innerScope(scope);
      inner.symbols.analyzeParameters(node.targets);
      inner.symbols.analyze(node.body);
      const values = node.values.map((value) => compileExpression(value, scope));
      const targets = node.targets.map((target) => compileTarget(target, inner));
      return inScope(inner, template.compile(node.body, inner), (frame) => {
        spend(1 + values.length);
        // The values are read outside: `with a = 2, b = a` gives b what a was before.
        values.forEach((value, i) => {
          targets[i]!(frame, value(frame));
        });
      });
    }
    case "scope": {
      const inner = innerScope(scope);
      inner.symbols.analyze(node.body);
      return inScope(inner, template.compile(node.body, inner));
    }
    case "set": {
      const check = bindNamespaces(node.target, scope);
      const value = compileExpression(node.value, scope);
      const assign = compileTarget(node.target, scope);
      const { line } = node;
      return (frame) => {
        atLine(line);
        spend(1);
        check(frame);
        assign(frame, value(frame));
        return NEXT;
      };
    }
    case "block":
      return compileBlock(node, scope, template);
    case "break":
    case "continue": {
      if (!scope.inLoop) throw new JinjaError("TemplateSyntaxError", `'${node.type}' outside loop`, node.line);
      const ending: Ending = node.type === "break" ? BREAK : CONTINUE;
      return () => {
        spend(1);
        return ending;
      };
    }
  }
}

/** Runs `body` between entering and leaving its scope. */
function inScope(scope: Scope, body: Execute, prepare: (frame: Frame) => void = () => {}): Execute {
  const enter = entering(scope);
  const leave = leaving(scope);
  return (frame) => {
    enter(frame);
    prepare(frame);
    const ending = body(frame);
    // As in Jinja2, where break and continue jump over it.
    if (ending === NEXT) leave(frame);
    return ending;
  };
}

function compileIf(node: IfNode, scope: Scope, template: Template): Execute {
  const soft = { ...scope, soft: true };
  const branches = [node, ...node.elifs].map(({ test, body, line }) => ({
    test: compileExpression(test, soft),
    body: template.compile(body, soft),
    line,
  }));
  const otherwise = template.compile(node.otherwise, soft);
  return (frame) => {
    for (const { test, body, line } of branches) {
      atLine(line);
      spend(1);
      if (truthy(test(frame))) return body(frame);
    }
    return otherwise(frame);
  };
}

function compileCallBlock(node: CallBlockNode, scope: Scope, template: Template): Execute {
  const caller = compileMacro(node, undefined, scope, template);
  const { line } = node;
  let call: Evaluate;
  if (node.call !== undefined) {
    call = compileCall(node.call, scope, caller);
  } else {
    // transformers' generation block: its own body, called once.
    call = (frame) => (caller(frame) as ReturnType<typeof caller>).call([], new Map());
  }
  return (frame) => {
    atLine(line);
    spend(1);
    writeText(call(frame));
    return NEXT;
  };
}

/** Jinja2 prints what call and filter blocks give without str(): anything but a string is an error. */
function writeText(value: Value): void {
  const text = textOf(value);
  if (text === undefined) throw typeError(`sequence item: expected str instance, ${typeName(value)} found`);
  write(text);
}

/** `{% filter %}` writes what its body writes, filtered; `{% set name %}` keeps it. */
function compileCapture(
  node: Statement & { type: "filterBlock" | "setBlock" },
  scope: Scope,
  template: Template,
): Execute {
  const inner = innerScope(scope);
  inner.symbols.analyze(node.type === "filterBlock" ? [...node.body, node.filter] : node.body);
  const body = template.compile(node.body, inner);
  let captured = "";
  const filter = node.filter && compileChain(node.filter, inner, () => captured);
  const finish = node.type === "filterBlock" ? undefined : compileTarget(node.target, scope);
  const check = node.type === "filterBlock" ? () => {} : bindNamespaces(node.target, scope);
  const enter = entering(inner);
  const leave = leaving(inner);
  const { line } = node;
  return (frame) => {
    spend(2);
    enter(frame);
    const { text, result } = capture(() => body(frame));
    if (result !== NEXT) return result;
    captured = text;
    atLine(line);
    const value: Value = filter === undefined ? text : filter(frame);
    if (finish === undefined) writeText(value);
    else {
      check(frame);
      finish(frame, value);
    }
    leave(frame);
    return NEXT;
  };
}

/** A chain of filters whose innermost has no operand: it takes the block's text. */
function compileChain(node: (Statement & { type: "filterBlock" })["filter"], scope: Scope, text: Evaluate): Evaluate {
  const operand =
    node.operand === undefined
      ? text
      : node.operand.type === "filter"
        ? compileChain(node.operand, scope, text)
        : compileExpression(node.operand, scope);
  return compileFilter(node, scope, operand);
}

function compileBlock(node: BlockNode, scope: Scope, template: Template): Execute {
  const { name, line } = node;
  if (template.blocks.has(name)) throw new JinjaError("TemplateAssertionError", `block '${name}' defined twice`, line);
  refuseSelf(node.body, ["self", "super"]);
  const own = blockScope();
  own.symbols.analyze(node.body);
  template.blocks.add(name);
  const body = template.compile(node.body, own);
  const enter = entering(own);
  const locals = node.scoped
    ? Array.from(scope.symbols.storedVariables(), ([local, variable]) => [local, reader(scope, variable)] as const)
    : [];
  return (frame) => {
    atLine(line);
    spend(4 + locals.length * 2);
    if (node.required) throw new JinjaError("TemplateRuntimeError", `Required block '${name}' not found`);
    let { context } = frame;
    if (node.scoped) {
      const seen = new Map<string, Value>();
      for (const [local, read] of locals) {
        const value = read(frame);
        if (value !== undefined) seen.set(local, value);
      }
      context = context.derived(seen);
    }
    const blockFrame: Frame = { vars: [], parent: undefined, context };
    enter(blockFrame);
    body(blockFrame);
    return NEXT;
  };
}
