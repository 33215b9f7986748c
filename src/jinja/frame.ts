// What compiled templates run on.
import { Undefined, type Value } from "./values.js";

/** The variables of one call of a function; undefined where one has no value. */
export interface Frame {
  readonly vars: (Value | undefined)[];
  /** The call of the function around. */
  readonly parent: Frame | undefined;
  readonly context: Context;
}

export type Evaluate = (frame: Frame) => Value;

/** How a statement ended. */
export const NEXT = 0;
export const BREAK = 1;
export const CONTINUE = 2;
export type Ending = typeof NEXT | typeof BREAK | typeof CONTINUE;

export type Execute = (frame: Frame) => Ending;

/** Names that no scope of the template defines: what it sets at its top (for its blocks), what it was given, and the globals. */
export class Context {
  readonly vars = new Map<string, Value>();
  readonly #given: ReadonlyMap<string, Value>;

  constructor(given: ReadonlyMap<string, Value>) {
    this.#given = given;
  }

  resolve(name: string): Value | undefined {
    const own = this.vars.get(name);
    return own === undefined ? this.#given.get(name) : own;
  }

  derived(locals: ReadonlyMap<string, Value>): Context {
    return new Context(new Map([...this.#given, ...this.vars, ...locals]));
  }
}

export function undefinedName(name: string): Undefined {
  return new Undefined(`'${name}' is undefined`);
}
