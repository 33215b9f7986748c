// Where a statement stands while a template is compiled (Jinja2's Frame): its names, and what is allowed there.
import { spend } from "./budget.js";
import type { Execute, Frame } from "./frame.js";
import type { Statement } from "./nodes.js";
import { FunctionScope, type Load, Symbols, type Variable } from "./symbols.js";
import type { Value } from "./values.js";

export interface Scope {
  readonly symbols: Symbols;
  /** At the template's top: what is set here is seen by its blocks. */
  readonly toplevel: boolean;
  /** A loop of the same function is around: break and continue have a meaning. */
  readonly inLoop: boolean;
  /** Inside an if: filters that do not exist are an error only once they are reached. */
  readonly soft: boolean;
  /** In the defaults of a macro's parameters, where parameters may not have their values yet. */
  readonly inDefaults: boolean;
}

/** What the parts of one template share while it is compiled. */
export interface Template {
  /** Names of the blocks so far. */
  readonly blocks: Set<string>;
  /** Statements in turn, as one. */
  compile(nodes: readonly Statement[], scope: Scope): Execute;
}

export function rootScope(): Scope {
  return { ...scopeOf(new Symbols(undefined, new FunctionScope(undefined))), toplevel: true };
}

/** The scope of a block, which sees nothing of where it stands. */
export function blockScope(): Scope {
  return scopeOf(new Symbols(undefined, new FunctionScope(undefined)));
}

/** A scope of the same function. */
export function innerScope({ symbols, inLoop }: Scope): Scope {
  return { ...scopeOf(new Symbols(symbols, symbols.owner)), inLoop };
}

/** Another scope of the same function, beside `scope`. */
export function siblingScope({ symbols, ...rest }: Scope): Scope {
  return { ...rest, symbols: new Symbols(symbols.parent, symbols.owner) };
}

/** The scope of a function that is defined here. */
export function functionScope({ symbols }: Scope): Scope {
  return scopeOf(new Symbols(symbols, new FunctionScope(symbols.owner)));
}

function scopeOf(symbols: Symbols): Scope {
  return { symbols, toplevel: false, inLoop: false, soft: false, inDefaults: false };
}

/** Reads a variable; undefined where it has no value. */
export function reader(scope: Scope, { owner, slot }: Variable): (frame: Frame) => Value | undefined {
  const hops = scope.symbols.owner.hopsTo(owner);
  if (hops === 0) return (frame) => frame.vars[slot];
  if (hops === 1) return (frame) => frame.parent!.vars[slot];
  return (frame) => {
    let at = frame;
    for (let i = 0; i < hops; i++) at = at.parent!;
    return at.vars[slot];
  };
}

/** Gives the variables of a scope their first values; the names of a scope must all be known by now. */
export function entering(scope: Scope): (frame: Frame) => void {
  const steps = [...scope.symbols.loads]
    .filter(([, load]) => load.from !== "parameter")
    .map(([{ slot }, load]) => ({ slot, read: firstValue(scope, load) }));
  if (steps.length === 0) return () => {};
  return (frame) => {
    spend(steps.length);
    for (const { slot, read } of steps) frame.vars[slot] = read(frame);
  };
}

function firstValue(scope: Scope, load: Load): (frame: Frame) => Value | undefined {
  if (load.from === "context") return (frame) => frame.context.resolve(load.name);
  if (load.from === "outer") return reader(scope, load.variable);
  return () => undefined;
}

/** Once a scope is left, its variables have no values: functions that were defined in it see that. */
export function leaving(scope: Scope): (frame: Frame) => void {
  const slots = Array.from(scope.symbols.loads.keys(), ({ slot }) => slot);
  return (frame) => {
    spend(slots.length >>> 2);
    for (const slot of slots) frame.vars[slot] = undefined;
  };
}
