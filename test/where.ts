// Tests that not every machine can run: where one cannot, they are skipped, and the reason is printed.

/** `test` where `possible`, else `test.skip`, said on stderr with its reason. */
export function testWhere(possible: boolean, reason: string): jest.It {
  return isPossible(possible, reason) ? test : test.skip;
}

/** `describe` where `possible`, else `describe.skip`, said on stderr with its reason. */
export function describeWhere(possible: boolean, reason: string): jest.Describe {
  return isPossible(possible, reason) ? describe : describe.skip;
}

/** Says on stderr what is not tested and why, where it is not possible. */
export function isPossible(possible: boolean, reason: string): boolean {
  if (!possible) process.stderr.write(`skipped: ${reason}\n`);
  return possible;
}
