import { nearest } from "#quipu/nearest.js";

test.each<[string, string | undefined]>([
  ["maxToken", "maxTokens"],
  ["max_tokens", "maxTokens"],
  ["maxTokesn", "maxTokens"],
  ["MAXTOKENS", "maxTokens"],
  ["tpo", "top"],
  ["seeds", "seed"],
  ["zebra", undefined],
  ["", undefined],
  ["x".repeat(100_000), undefined],
  ["__proto__", undefined],
])("%s: %p", (name, meant) => {
  expect(nearest(name, ["seed", "maxTokens", "top"])).toBe(meant);
});

test("of nothing nothing is near", () => {
  expect(nearest("seed", [])).toBeUndefined();
});
