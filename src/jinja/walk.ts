// The children of nodes, in the order in which Jinja2 looks at them.
import { spend } from "./budget.js";
import type { Arguments, Expression, Node, Signature, Statement } from "./nodes.js";

function ofArguments({ args, kwargs, moreArgs, moreKwargs }: Arguments): Expression[] {
  return [...args, ...kwargs.map(({ value }) => value), ...present(moreArgs), ...present(moreKwargs)];
}

function ofSignature({ params, defaults }: Signature): Node[] {
  return [...params, ...defaults];
}

function present<T>(node: T | undefined): T[] {
  return node === undefined ? [] : [node];
}

export function childrenOf(node: Node): readonly Node[] {
  switch (node.type) {
    case "const":
    case "number":
    case "name":
    case "namespace":
    case "text":
    case "break":
    case "continue":
      return [];
    case "tuple":
    case "list":
    case "targets":
      return node.items;
    case "dict":
      return node.items.flat();
    case "condition":
      return [node.test, node.value, ...present(node.otherwise)];
    case "binary":
      return [node.left, node.right];
    case "unary":
      return [node.operand];
    case "concat":
      return node.parts;
    case "compare":
      return [node.first, ...node.rest.map(({ operand }) => operand)];
    case "attribute":
      return [node.object];
    case "item":
      return [node.object, node.key];
    case "slice":
      return [node.object, ...node.bounds.flatMap(present)];
    case "call":
      return [node.callee, ...ofArguments(node)];
    case "filter":
    case "test":
      return [...present(node.operand), ...ofArguments(node)];
    case "print":
      return [node.value];
    case "for":
      return [node.target, node.iterable, ...node.body, ...node.otherwise, ...present(node.test)];
    case "if":
      return [node.test, ...node.body, ...node.elifs, ...node.otherwise];
    case "macro":
      return [...ofSignature(node), ...node.body];
    case "callBlock":
      return [...present(node.call), ...ofSignature(node), ...node.body];
    case "filterBlock":
      return [...node.body, node.filter];
    case "with":
      return [...node.targets, ...node.values, ...node.body];
    case "scope":
    case "block":
      return node.body;
    case "set":
      return [node.target, node.value];
    case "setBlock":
      return [node.target, ...present(node.filter), ...node.body];
  }
}

/** Whether any node within `nodes` holds `test`. */
export function anyWithin(nodes: readonly Node[], test: (node: Node) => boolean): boolean {
  return nodes.some((node) => {
    spend(1);
    return test(node) || anyWithin(childrenOf(node), test);
  });
}

/** Which of `names` are read in `body` before they are set there, blocks left out: what a macro or a loop must provide. */
export function undeclared(body: readonly Statement[], names: readonly string[]): Set<string> {
  const open = new Set(names);
  const found = new Set<string>();
  const visit = (node: Node) => {
    spend(1);
    if (node.type === "block") return;
    if (node.type === "name") {
      if (node.use === "load" && open.has(node.name)) found.add(node.name);
      else open.delete(node.name);
    }
    childrenOf(node).forEach(visit);
  };
  body.forEach(visit);
  return found;
}
