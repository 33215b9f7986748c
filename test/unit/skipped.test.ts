// No test is left out in silence: test/where.ts prints the reason, and nothing else skips.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

test("only test/where.ts skips tests", () => {
  const files = readdirSync("test", { recursive: true, encoding: "utf8" }).filter((file) => file.endsWith(".ts"));
  const skips = /\b(?:test|it|describe)(?:\.concurrent)?\.(?:skip|todo|failing|only)\b|\bx(?:test|it|describe)\b/;
  const found = files.filter((file) => skips.test(readFileSync(join("test", file), "utf8")));
  expect(found).toEqual(["where.ts"]);
});
