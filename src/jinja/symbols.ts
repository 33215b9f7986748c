// Which variable a name means, by the rules of jinja2/idtracking.py: a scope knows all names that are read or set anywhere in it,
// and where each gets its first value; a name that is set in a scope is a variable of that scope from its beginning.
import { spend } from "./budget.js";
import { JinjaError } from "./errors.js";
import type { ForNode, IfNode, Node, Statement } from "./nodes.js";
import { childrenOf } from "./walk.js";

/** The variables of one function (the template, a macro, a block …). Scopes on one level with one name share a variable, as in Jinja2. */
export class FunctionScope {
  readonly parent: FunctionScope | undefined;
  readonly #variables = new Map<string, Variable>();

  constructor(parent: FunctionScope | undefined) {
    this.parent = parent;
  }

  variable(level: number, name: string): Variable {
    const key = `${level} ${name}`;
    let variable = this.#variables.get(key);
    if (variable === undefined) {
      variable = { owner: this, slot: this.#variables.size };
      this.#variables.set(key, variable);
    }
    return variable;
  }

  /** How many functions out `owner` is from here. */
  hopsTo(owner: FunctionScope): number {
    let hops = 0;
    for (let at: FunctionScope | undefined = this; at !== owner; at = at!.parent) hops++;
    return hops;
  }
}

export interface Variable {
  readonly owner: FunctionScope;
  readonly slot: number;
}

/** Where a variable gets its value when its scope is entered: from the caller, the context, an outer variable, or nowhere yet. */
export type Load =
  | { readonly from: "parameter" }
  | { readonly from: "context"; readonly name: string }
  | { readonly from: "outer"; readonly variable: Variable }
  | { readonly from: "nothing" };

export class Symbols {
  readonly parent: Symbols | undefined;
  readonly level: number;
  readonly owner: FunctionScope;
  readonly #refs = new Map<string, Variable>();
  readonly #loads = new Map<Variable, Load>();
  readonly #stores = new Set<string>();

  constructor(parent: Symbols | undefined, owner: FunctionScope) {
    this.parent = parent;
    this.level = parent === undefined ? 0 : parent.level + 1;
    this.owner = owner;
  }

  get loads(): ReadonlyMap<Variable, Load> {
    return this.#loads;
  }

  /** @throws {JinjaError} AssertionError, as Jinja2 does for a name that its analysis does not see (arguments of a set block's filter). */
  ref(name: string): Variable {
    const variable = this.find(name);
    if (variable === undefined) {
      throw new JinjaError(
        "AssertionError",
        `Tried to resolve a name to a reference that was unknown to the frame ('${name}')`,
      );
    }
    return variable;
  }

  /** Whether a variable is a parameter of its scope: it has a value while the scope runs, and Jinja2 does not look whether it has. */
  isParameter(variable: Variable): boolean {
    const load = this.#loads.get(variable);
    return load === undefined ? (this.parent?.isParameter(variable) ?? false) : load.from === "parameter";
  }

  /** All variables that are set here and in the scopes around, by name: what a scoped block sees. */
  storedVariables(): Map<string, Variable> {
    const stored = new Map<string, Variable>();
    for (let at: Symbols | undefined = this; at !== undefined; at = at.parent) {
      for (const name of at.#stores) if (!stored.has(name)) stored.set(name, this.ref(name));
    }
    return stored;
  }

  declareParameter(name: string): Variable {
    this.#stores.add(name);
    return this.#define(name, { from: "parameter" });
  }

  analyze(nodes: readonly Node[]): void {
    for (const node of nodes) this.#visit(node, false);
  }

  analyzeLoop(node: ForNode, part: "body" | "otherwise" | "test"): void {
    if (part !== "otherwise") this.#visit(node.target, true);
    if (part === "test") this.#visit(node.test!, false);
    else this.analyze(node[part]);
  }

  /** The targets of a with block are parameters of its scope. */
  analyzeParameters(nodes: readonly Node[]): void {
    for (const node of nodes) this.#visit(node, true);
  }

  find(name: string): Variable | undefined {
    return this.#refs.get(name) ?? this.parent?.find(name);
  }

  #define(name: string, load: Load): Variable {
    const variable = this.owner.variable(this.level, name);
    this.#refs.set(name, variable);
    this.#loads.set(variable, load);
    return variable;
  }

  #load(name: string): void {
    if (this.find(name) === undefined) this.#define(name, { from: "context", name });
  }

  #store(name: string): void {
    this.#stores.add(name);
    if (this.#refs.has(name)) return;
    const outer = this.parent?.find(name);
    this.#define(name, outer === undefined ? { from: "nothing" } : { from: "outer", variable: outer });
  }

  #visit(node: Node, asParameter: boolean): void {
    spend(1);
    switch (node.type) {
      case "name":
        if (asParameter || node.use === "param") this.declareParameter(node.name);
        else if (node.use === "store") this.#store(node.name);
        else this.#load(node.name);
        return;
      case "namespace":
        this.#load(node.name);
        return;
      case "targets":
        for (const item of node.items) this.#visit(item, asParameter);
        return;
      case "if":
        this.#visitIf(node);
        return;
      case "macro":
        this.#store(node.name);
        return;
      case "set":
        this.#visit(node.value, false);
        this.#visit(node.target, false);
        return;
      case "for":
        this.#visit(node.iterable, false);
        return;
      case "callBlock":
        if (node.call !== undefined) this.#visit(node.call, false);
        return;
      case "filterBlock":
        this.#visit(node.filter, false);
        return;
      case "with":
        this.analyze(node.values);
        return;
      case "setBlock":
        this.#visit(node.target, false);
        return;
      case "scope":
      case "block":
        return;
      default:
        this.analyze(childrenOf(node));
    }
  }

  #visitIf(node: IfNode): void {
    this.#visit(node.test, false);
    const branch = (statements: readonly Statement[]) => {
      const symbols = new Symbols(this.parent, this.owner);
      symbols.#takeFrom(this);
      symbols.analyze(statements);
      return symbols;
    };
    this.#merge([branch(node.body), branch(node.elifs), branch(node.otherwise)]);
  }

  /** A name that only some branches set keeps, in the others, what it means outside. */
  #merge(branches: readonly Symbols[]): void {
    const stored = new Set(branches.flatMap((branch) => [...branch.#stores]).filter((name) => !this.#stores.has(name)));
    for (const branch of branches) this.#takeFrom(branch);
    for (const name of stored) {
      const outer = this.parent?.find(name);
      this.#loads.set(
        this.find(name)!,
        outer === undefined ? { from: "context", name } : { from: "outer", variable: outer },
      );
    }
  }

  #takeFrom(other: Symbols): void {
    spend(other.#refs.size + other.#loads.size + other.#stores.size);
    for (const [name, variable] of other.#refs) this.#refs.set(name, variable);
    for (const [variable, load] of other.#loads) this.#loads.set(variable, load);
    for (const name of other.#stores) this.#stores.add(name);
  }
}
