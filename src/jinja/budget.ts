// What one rendering may use. Templates come with models from anywhere: loops, strings and nesting are bounded, each with an error of its own.
// A rendering is synchronous, so the budget of the one that runs is module state, and no value has to carry it.
import { JinjaError } from "./errors.js";

export interface Limits {
  /**
   * Steps: statements, operations and calls, items that are walked over, copied or compared, characters that are looked at one by one, and
   * one for every 16 that are copied or searched. None takes more than a microsecond or 100 bytes (decisions/0007), so steps bound time and memory.
   */
  readonly maxSteps?: number;
  /** UTF-16 units of the text, and of any string on the way. */
  readonly maxLength?: number;
  /** Calls of macros within each other. Python's own limit of 1,000 frames allows about 150. */
  readonly maxDepth?: number;
}

/** Beyond them a hostile template has taken a second or less (decisions/0007). */
export const DEFAULT_STEPS = 4_000_000;

const DEFAULTS: Required<Limits> = { maxSteps: DEFAULT_STEPS, maxLength: 64 * 1024 * 1024, maxDepth: 200 };

interface Budget extends Required<Limits> {
  steps: number;
  depth: number;
}

/** Outside of templates nothing is bounded: JSON is read there. */
let budget: Budget = { ...DEFAULTS, maxSteps: Number.POSITIVE_INFINITY, steps: 0, depth: 0 };

export function withBudget<T>(limits: Limits, work: () => T): T {
  const outer = budget;
  budget = { ...DEFAULTS, ...limits, steps: 0, depth: 0 };
  try {
    return work();
  } finally {
    budget = outer;
  }
}

/** @throws {JinjaError} LimitError */
export function spend(steps: number): void {
  budget.steps += steps;
  if (budget.steps > budget.maxSteps) {
    throw new JinjaError("LimitError", `the template takes more than ${budget.maxSteps} steps`);
  }
}

/** To be called before a string of `length` is made or walked over. */
export function spendText(length: number): void {
  checkLength(length);
  spend(1 + (length >>> 4));
}

/**
 * To be called before a text of `sought` characters is searched in one of `length`. Long ones may be compared at every place, those that are
 * searched from the end always: V8's tables hold 250 characters, and none for that.
 */
export function spendSearch(length: number, sought: number, fromEnd = false): void {
  spendText(length * 2);
  if (fromEnd || sought > 250) spend(Math.floor((Math.max(0, length - sought) * sought) / 512));
}

/** To be called before a text of `length` is looked at character by character. */
export function spendCharacters(length: number): void {
  spend(1 + length);
}

/** Work on an int takes the square of its length: a product, a quotient, its digits. */
export function spendBits(bits: number): void {
  spend(1 + (((bits >>> 6) ** 2) >>> 5));
}

/** Of a list: V8 ends the process where one has nine times as many. */
const MAX_ITEMS = 2 ** 24;

/** To be called before a list of `count` items is made. @throws {JinjaError} LimitError */
export function spendItems(count: number): void {
  checkItems(count);
  spend(count);
}

/** @throws {JinjaError} LimitError */
export function checkItems(count: number): void {
  if (count > MAX_ITEMS)
    throw new JinjaError("LimitError", `the template makes a list of more than ${MAX_ITEMS} items`);
}

/** @throws {JinjaError} LimitError */
export function checkLength(length: number): void {
  if (length > budget.maxLength) {
    throw new JinjaError("LimitError", `the template makes a text of more than ${budget.maxLength} characters`);
  }
}

export function nested<T>(work: () => T): T {
  if (budget.depth >= budget.maxDepth) {
    throw new JinjaError("RecursionError", `the template nests calls deeper than ${budget.maxDepth}`);
  }
  budget.depth++;
  try {
    return work();
  } finally {
    budget.depth--;
  }
}
