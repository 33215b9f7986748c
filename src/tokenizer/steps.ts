// What a file may ask for in a row: published ones have three or four steps, and a hostile one could make a token of a gigabyte.

const MOST_STEPS = 64;
/** How much longer replacements may make a text, one after the other. */
const MOST_GROWTH = 64;

type Refuse = (problem: string) => never;

export function checkSteps(what: string, steps: number, refuse: Refuse): void {
  if (steps > MOST_STEPS) refuse(`${what}: expected at most ${MOST_STEPS} steps, got ${steps}`);
}

/** @param replacements `from` is not empty. */
export function checkGrowth(
  what: string,
  replacements: readonly (readonly [from: string, to: string])[],
  refuse: Refuse,
): void {
  const growth = replacements.reduce(
    (before, [from, to]) => before * Math.max(1, Buffer.byteLength(to) / Buffer.byteLength(from)),
    1,
  );
  if (growth <= MOST_GROWTH) return;
  const times = Math.floor(growth);
  refuse(`${what}: its Replace steps can make a text ${times} times as long, this version takes ${MOST_GROWTH}`);
}
