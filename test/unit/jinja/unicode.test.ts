// What Python's str knows of characters, whatever Unicode Node has: the first two planes, by digests of Python's answers.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { withBudget } from "#quipu/jinja/budget.js";
import { parseIntText } from "#quipu/jinja/parse-number.js";
import { stringRepr } from "#quipu/jinja/printing.js";
import { JinjaTemplate } from "#quipu/jinja/template.js";
import { splitLines } from "#quipu/jinja/text-operations.js";
import { CASE_CHANGES, CHARACTER_TESTS, lower, title } from "#quipu/jinja/unicode.js";
import { wordWrap } from "#quipu/jinja/word-wrap.js";

const golden: { unicode: Record<string, string> } = JSON.parse(
  readFileSync("test/reference/jinja.golden.json", "utf8"),
);

const templates = new Map<string, JinjaTemplate>();
function render(source: string, x: string): string {
  const template = templates.get(source) ?? new JinjaTemplate(source);
  templates.set(source, template);
  return template.render({ x });
}

const python = (value: string | boolean) => (value === true ? "True" : value === false ? "False" : value);

const questions: Record<string, (char: string) => string | boolean> = {
  ...CASE_CHANGES,
  ...CHARACTER_TESTS,
  repr: stringRepr,
  "title within": (char) => title(`a${char}b ${char}x`),
  "lower within": (char) => lower(`a${char}\u03a3${char}b \u03a3${char}`),
  words: (char) => render("{{ x|wordcount }}", `a${char}b`),
  int: (char) => String(parseIntText(char, 10) ?? "-"),
  wordwrap: (char) => wordWrap(`ab-${char}cdefgh`, 4, true, true).join("|"),
  splitlines: (char) => String(splitLines(`a${char}b`, false).length),
};

test.each(Object.entries(golden.unicode))("%s", (name, digest) => {
  const hash = createHash("sha256");
  withBudget({ maxSteps: Number.POSITIVE_INFINITY }, () => {
    for (let code = 0; code < 0x20000; code++) {
      if (code === 0xd800) code = 0xe000;
      hash.update(`${code === 0 ? "" : "\n"}${python(questions[name]!(String.fromCodePoint(code)))}`);
    }
  });
  expect(hash.digest("hex")).toBe(digest);
});

test("names are those of Python's Unicode", () => {
  expect(() => new JinjaTemplate("{% set \u{31350} = 1 %}")).toThrow(/identifier/); // a letter since Unicode 15
  expect(new JinjaTemplate("{% set \u{30000} = 1 %}{{ \u{30000} }}").render({})).toBe("1"); // since 13
});
