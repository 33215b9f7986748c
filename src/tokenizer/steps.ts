// What a file may ask for in a row: published ones have three or four steps, and a hostile one could make a token of a gigabyte.

const MOST_STEPS = 64;
/** How much longer replacements may make a text, one after the other. */
const MOST_GROWTH = 64;

type Refuse = (problem: string) => never;

export function checkSteps(what: string, steps: number, refuse: Refuse): void {
  if (steps > MOST_STEPS) refuse(`${what}: expected at most ${MOST_STEPS} steps, got ${steps}`);
}

/** How many times as long a text can be when each `from`, which is not empty, has become `to`. */
export function growthOf(from: string, to: string): number {
  return Math.max(1, Buffer.byteLength(to) / Buffer.byteLength(from));
}

/** @param growths of the Replace steps, one after the other. */
export function checkGrowth(what: string, growths: readonly number[], refuse: Refuse): void {
  const growth = growths.reduce((before, each) => before * each, 1);
  if (growth <= MOST_GROWTH) return;
  const times = Math.floor(growth);
  refuse(`${what}: its Replace steps can make a text ${times} times as long, this version takes ${MOST_GROWTH}`);
}
