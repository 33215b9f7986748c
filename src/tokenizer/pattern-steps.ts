// How many steps a backtracking matcher may take for a pattern, as a polynomial of the text's length: from above, and coarse.

/** factor · length ^ power; the power is infinite where nothing better is known. */
export interface Steps {
  readonly factor: number;
  readonly power: number;
}

/** Of a part of a pattern, at one place of the text. */
export interface Effort {
  /** Ways in which it matches: where what is behind it fails, all are tried. */
  readonly ways: Steps;
  /** Steps until it has matched in one of them, or in none; the text that a repetition takes is not counted. */
  readonly tries: Steps;
  /** It matches in the first of them: what is before it is not tried again. */
  readonly certain: boolean;
}

const ONE: Steps = { factor: 1, power: 0 };

/** Of one character. */
export const ONE_STEP: Effort = { ways: ONE, tries: ONE, certain: false };
/** Of no text. */
export const NO_STEP: Effort = { ways: ONE, tries: { factor: 0, power: 0 }, certain: true };

const sum = (a: Steps, b: Steps): Steps => ({ factor: a.factor + b.factor, power: Math.max(a.power, b.power) });
const product = (a: Steps, b: Steps): Steps => ({ factor: a.factor * b.factor, power: a.power + b.power });

export function either(a: Effort, b: Effort): Effort {
  return { ways: sum(a.ways, b.ways), tries: sum(a.tries, b.tries), certain: a.certain || b.certain };
}

export function inSequence(a: Effort, b: Effort): Effort {
  return {
    // What is certain may be tried again all the same, where what is behind both fails.
    ways: product(a.ways, b.certain ? sum(b.ways, b.tries) : b.ways),
    tries: sum(a.tries, b.certain ? b.tries : product(a.ways, b.tries)),
    certain: a.certain && b.certain,
  };
}

/** What is not looked into again once it has matched: an assertion, an atomic group. */
export function closed({ ways, tries }: Effort): Effort {
  return { ways: ONE, tries: sum(tries, ways), certain: false };
}

export function repeated(effort: Effort, least: number, most: number): Effort {
  if (most <= 1) return least === most ? effort : either(effort, NO_STEP);
  const { ways, tries } = effort;
  if (ways.power > 0 || ways.factor > 1) {
    const unknown = { factor: 1, power: Number.POSITIVE_INFINITY }; // (a|ab)*, (a*)*: 2 ^ length and more
    return { ways: unknown, tries: unknown, certain: least === 0 };
  }
  const isCharacter = tries.power === 0 && tries.factor === 1;
  const length = Number.isFinite(most) ? { factor: most - least + 1, power: 0 } : { factor: 1, power: 1 };
  return {
    ways: length,
    tries: isCharacter ? { factor: Math.max(least, 1), power: 0 } : product(tries, { factor: 1, power: 1 }),
    certain: least === 0,
  };
}

/** Of a search through a text, which tries at every place. */
export function stepsOfSearch({ tries }: Effort, length: number): number {
  return Number.isFinite(tries.power) ? tries.factor * length ** (tries.power + 1) : Number.POSITIVE_INFINITY;
}
