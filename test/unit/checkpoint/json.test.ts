import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseJsonObject, readJsonFile } from "#quipu/checkpoint/json.js";
import type { ModelWarning } from "#quipu/warnings.js";
import { temporaryFolder } from "../../checkpoint-writer.js";

const root = temporaryFolder();
const parse = (text: string, options = {}) =>
  parseJsonObject(Buffer.from(text), "x.json", "ERR_MODEL_INVALID", options);

describe("what Python's json.loads reads", () => {
  test("NaN, Infinity and -Infinity are numbers where a value may be", () => {
    const text = '{"a": NaN, "b":[Infinity,-Infinity , NaN],"c":{"d":\n-Infinity}, "e": "NaN, Infinity", "NaN": 1}';
    expect(parse(text, { python: true })).toEqual({
      ...{ a: Number.NaN, b: [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NaN] },
      ...{ c: { d: Number.NEGATIVE_INFINITY }, e: "NaN, Infinity", NaN: 1 },
    });
  });

  // Each is refused by json.loads of Python 3.11 too.
  test.each([
    '{"a": nan}',
    '{"a": inf}',
    '{"a": -NaN}',
    '{"a": +Infinity}',
    '{"a": --Infinity}',
    '{"a": Infinity5}',
    '{"a": 5Infinity}',
    '{"a": NaNa}',
    '{"a": Inf}',
    '{"a": - Infinity}',
    '{"a": [NaN NaN]}',
    "{NaN: 1}",
    "{Infinity: 1}",
    '{"a": NaN',
  ])("%s is not JSON", (text) => {
    expect(() => parse(text, { python: true })).toThrow(
      expect.objectContaining({ message: expect.stringMatching(/not valid JSON/) }),
    );
  });

  test("a text that is named like what stands for NaN stays text", () => {
    expect(parse('{"a":"Na\\u004e","b":NaN}', { python: true })).toEqual({ a: "NaN", b: Number.NaN });
  });

  test("files that Rust reads have none of it", () => {
    expect(() => parse('{"a": NaN}')).toThrow(
      expect.objectContaining({ message: expect.stringMatching(/not valid JSON/) }),
    );
  });

  test("many of them take time by their number", () => {
    const text = `{"a":[${"NaN,  -Infinity,\n".repeat(200_000)}0]}`;
    const { a } = parse(text, { python: true }) as { a: number[] };
    expect(a).toHaveLength(400_001);
  }, 20_000);
});

test("a name that is there twice: the last counts, with one warning; where nobody listens it is an error", async () => {
  const path = join(root, "config.json");
  writeFileSync(path, '{"rope_theta": 1, "a": {"b": 1, "b": 2}, "rope_theta": 5}');
  const warnings: ModelWarning[] = [];
  const json = await readJsonFile(path, "ERR_MODEL_INVALID", (code, message) => warnings.push({ code, message }));
  expect(json).toEqual({ rope_theta: 5, a: { b: 2 } });
  expect(warnings).toEqual([
    {
      code: "WARN_JSON_NAME_TWICE",
      message: 'config.json: the name "b" is there twice in one object: the last counts',
    },
  ]);
  await expect(readJsonFile(path, "ERR_MODEL_INVALID")).rejects.toMatchObject({ code: "ERR_MODEL_INVALID" });
});
