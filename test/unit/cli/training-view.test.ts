// The loss as a curve of blocks.
import { curve } from "#quipu/cli/terminal/training-view.js";

test.each<[string, number[], string]>([
  ["none yet", [], ""],
  ["one", [3], "▁"],
  ["all the same", [2, 2, 2], "▁▁▁"],
  ["falling", [8, 7, 6, 5, 4, 3, 2, 1], "█▇▆▅▄▃▂▁"],
  [
    "more than there is room for: means",
    Array.from({ length: 48 }, (_, i) => (i < 24 ? 1 : 2) + (i % 2) / 10),
    `${"▁".repeat(12)}${"█".repeat(12)}`,
  ],
])("%s", (_, losses, expected) => {
  expect(curve(losses)).toBe(expected);
});
