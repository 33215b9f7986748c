// The syntax tree, with the shapes of jinja2/nodes.py: the rules of scoping (symbols.ts) are written over these.

export type Expression =
  | { readonly type: "const"; readonly value: null | boolean | string; readonly line: number }
  | { readonly type: "number"; readonly text: string; readonly isFloat: boolean; readonly line: number }
  | NameNode
  | { readonly type: "tuple" | "list"; readonly items: readonly Expression[]; readonly line: number }
  | { readonly type: "dict"; readonly items: readonly (readonly [Expression, Expression])[]; readonly line: number }
  | {
      readonly type: "condition";
      readonly test: Expression;
      readonly value: Expression;
      readonly otherwise: Expression | undefined;
      readonly line: number;
    }
  | {
      readonly type: "binary";
      readonly op: BinaryOperator | "and" | "or";
      readonly left: Expression;
      readonly right: Expression;
      readonly line: number;
    }
  | { readonly type: "unary"; readonly op: "-" | "+" | "not"; readonly operand: Expression; readonly line: number }
  | { readonly type: "concat"; readonly parts: readonly Expression[]; readonly line: number }
  | {
      readonly type: "compare";
      readonly first: Expression;
      readonly rest: readonly { readonly op: Comparison; readonly operand: Expression }[];
      readonly line: number;
    }
  | { readonly type: "attribute"; readonly object: Expression; readonly name: string; readonly line: number }
  | { readonly type: "item"; readonly object: Expression; readonly key: Expression; readonly line: number }
  | {
      readonly type: "slice";
      readonly object: Expression;
      readonly bounds: readonly [Expression | undefined, Expression | undefined, Expression | undefined];
      readonly line: number;
    }
  | CallNode
  | FilterNode
  | ({
      readonly type: "test";
      readonly name: string;
      readonly operand: Expression;
      readonly line: number;
    } & Arguments);

export type BinaryOperator = "+" | "-" | "*" | "/" | "//" | "%" | "**";
export type Comparison = "==" | "!=" | "<" | "<=" | ">" | ">=" | "in" | "not in";

export interface NameNode {
  readonly type: "name";
  readonly name: string;
  readonly use: "load" | "store" | "param";
  readonly line: number;
}

/** `namespace.attribute` as what `set` assigns to. */
interface NamespaceTarget {
  readonly type: "namespace";
  readonly name: string;
  readonly attribute: string;
  readonly line: number;
}

export type Target =
  | NameNode
  | NamespaceTarget
  | { readonly type: "targets"; readonly items: readonly Target[]; readonly line: number };

export interface Arguments {
  readonly args: readonly Expression[];
  readonly kwargs: readonly { readonly name: string; readonly value: Expression }[];
  readonly moreArgs: Expression | undefined;
  readonly moreKwargs: Expression | undefined;
}

export type CallNode = {
  readonly type: "call";
  readonly callee: Expression;
  readonly line: number;
} & Arguments;

/** Without an operand it filters the block that it stands in. */
export type FilterNode = {
  readonly type: "filter";
  readonly name: string;
  readonly operand: Expression | undefined;
  readonly line: number;
} & Arguments;

export interface Signature {
  readonly params: readonly NameNode[];
  /** Of the last parameters. */
  readonly defaults: readonly Expression[];
}

export interface ForNode {
  readonly type: "for";
  readonly target: Target;
  readonly iterable: Expression;
  readonly test: Expression | undefined;
  readonly recursive: boolean;
  readonly body: readonly Statement[];
  readonly otherwise: readonly Statement[];
  readonly line: number;
}

export interface IfNode {
  readonly type: "if";
  readonly test: Expression;
  readonly body: readonly Statement[];
  readonly elifs: readonly IfNode[];
  readonly otherwise: readonly Statement[];
  readonly line: number;
}

interface MacroNode extends Signature {
  readonly type: "macro";
  readonly name: string;
  readonly body: readonly Statement[];
  readonly line: number;
}

/** `{% call %}`, and transformers' `{% generation %}`, which calls its own body (no `call`). */
export interface CallBlockNode extends Signature {
  readonly type: "callBlock";
  readonly call: CallNode | undefined;
  readonly body: readonly Statement[];
  readonly line: number;
}

export interface BlockNode {
  readonly type: "block";
  readonly name: string;
  readonly scoped: boolean;
  readonly required: boolean;
  readonly body: readonly Statement[];
  readonly line: number;
}

export type Statement =
  | { readonly type: "text"; readonly text: string; readonly line: number }
  | { readonly type: "print"; readonly value: Expression; readonly line: number }
  | ForNode
  | IfNode
  | MacroNode
  | CallBlockNode
  | BlockNode
  | {
      readonly type: "filterBlock";
      readonly filter: FilterNode;
      readonly body: readonly Statement[];
      readonly line: number;
    }
  | {
      readonly type: "with";
      readonly targets: readonly Target[];
      readonly values: readonly Expression[];
      readonly body: readonly Statement[];
      readonly line: number;
    }
  | { readonly type: "scope"; readonly body: readonly Statement[]; readonly line: number }
  | { readonly type: "set"; readonly target: Target; readonly value: Expression; readonly line: number }
  | {
      readonly type: "setBlock";
      readonly target: Target;
      readonly filter: FilterNode | undefined;
      readonly body: readonly Statement[];
      readonly line: number;
    }
  | { readonly type: "break" | "continue"; readonly line: number };

export type Node = Expression | Statement | Target;
