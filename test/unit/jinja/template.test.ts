// The interface: values of JavaScript, JSON as Python reads it, the clock, errors and their lines.
import { float, JinjaError, JinjaTemplate, parseJson } from "#quipu/jinja/template.js";

function render(source: string, context: Record<string, unknown> | ReadonlyMap<string, unknown> = {}): string {
  return new JinjaTemplate(source).render(context);
}

function failure(run: () => unknown): JinjaError {
  try {
    run();
  } catch (error) {
    if (error instanceof JinjaError) return error;
    throw error;
  }
  throw new Error("no error");
}

describe("values of JavaScript", () => {
  test.each<[string, unknown, string]>([
    ["null", null, "None"],
    ["a boolean", true, "True"],
    ["a whole number", 3, "3"],
    ["minus zero", -0, "0"],
    ["a number", 2.5, "2.5"],
    ["a float that is whole", float(1), "1.0"],
    ["a bigint", 10n ** 30n, `1${"0".repeat(30)}`],
    ["a large whole number", 1e21, `1${"0".repeat(21)}`],
    ["not a number", Number.NaN, "nan"],
    ["infinity", Number.NEGATIVE_INFINITY, "-inf"],
    ["a list", [1, "a", [null]], "[1, 'a', [None]]"],
    ["an object", { a: 1, b: { c: [] } }, "{'a': 1, 'b': {'c': []}}"],
    ["an object without a prototype", Object.assign(Object.create(null), { a: 1 }), "{'a': 1}"],
    ["a property that is undefined", { a: undefined, b: 1 }, "{'b': 1}"],
    [
      "a Map, in its order",
      new Map<unknown, unknown>([
        ["10", 1],
        ["2", 2],
        [3, 4],
      ]),
      "{'10': 1, '2': 2, 3: 4}",
    ],
    ["an object's keys in JavaScript's order", { b: 1, 10: 2, 2: 3 }, "{'2': 3, '10': 2, 'b': 1}"],
  ])("%s", (_, value, text) => {
    expect(render("{{ x }}", { x: value })).toBe(text);
  });

  test("undefined is absent", () => {
    expect(render("{{ x is defined }}", { x: undefined })).toBe("False");
  });

  test("a variable may have the name of a global", () => {
    expect(
      render(
        "{{ range }}{{ namespace }}",
        new Map([
          ["range", 1],
          ["namespace", 2],
        ]),
      ),
    ).toBe("12");
  });

  test.each<[string, unknown]>([
    ["a function", () => 1],
    ["a symbol", Symbol("x")],
    ["a Date", new Date(0)],
    ["an object of a class", new (class Thing {})()],
    ["a Set", new Set()],
  ])("%s is refused", (_, value) => {
    expect(failure(() => render("{{ x }}", { x: value }))).toMatchObject({ kind: "TypeError" });
  });

  test("a value inside itself is refused", () => {
    const loop: unknown[] = [];
    loop.push(loop);
    expect(failure(() => render("{{ x }}", { x: loop }))).toMatchObject({ kind: "TypeError" });
  });

  test("what a template is given is not changed by it", () => {
    const messages = [{ role: "user", content: "x" }];
    render("{% for m in messages %}{% set m = {} %}{% endfor %}{% set messages = [] %}", { messages });
    expect(messages).toEqual([{ role: "user", content: "x" }]);
  });
});

describe("parseJson", () => {
  test.each([
    ['{"b": 1.0, "a": [1, 2e3, -0.0], "10": null}', "{'b': 1.0, 'a': [1, 2000.0, -0.0], '10': None}"],
    ["123456789012345678901234567890", "123456789012345678901234567890"],
    ["[NaN, Infinity, -Infinity, true, false]", "[nan, inf, -inf, True, False]"],
    ['{"a": 1, "b": 2, "a": 3}', "{'a': 3, 'b': 2}"],
    ['"\\ud83d\\ude00 \\u00e9\\n"', "😀 é\n"],
    ['{"__proto__": {"x": 1}}', "{'__proto__': {'x': 1}}"],
    [" [ ] ", "[]"],
  ])("%s", (json, text) => {
    expect(render("{{ x }}", { x: parseJson(json) })).toBe(text);
  });

  test.each([
    "",
    "{",
    "[1,]",
    "{'a': 1}",
    '{"a" 1}',
    "01",
    "1.",
    "+1",
    '"a',
    '"\n"',
    '"\\x"',
    "nul",
    "[1] 2",
    "\ufeff1",
    "[".repeat(9999),
  ])("%j is refused", (json) => {
    expect(failure(() => parseJson(json))).toMatchObject({ kind: "JSONDecodeError" });
  });
});

describe("strftime_now", () => {
  const now = () => new Date(2024, 6, 4, 15, 7, 9, 42);
  // date(2024, 7, 4): a Thursday, day 186, in week 27 of ISO's and 26 of Sunday's count.
  test.each([
    ["%d %b %Y", "04 Jul 2024"],
    ["%A %a %B %b %h", "Thursday Thu July Jul Jul"],
    ["%Y-%m-%d %H:%M:%S", "2024-07-04 15:07:09"],
    ["%I:%M %p", "03:07 PM"],
    ["%j %U %W %V %G %u %w", "186 26 27 27 2024 4 4"],
    ["%y %C %g", "24 20 24"],
    ["%c|%x|%X", "Thu Jul  4 15:07:09 2024|07/04/24|15:07:09"],
    ["%D %F %T %R %r", "07/04/24 2024-07-04 15:07:09 15:07 03:07:09 PM"],
    ["%e|%k|%l|%f", " 4|15| 3|042000"],
    ["%z|%Z|%%|%n|%t", "||%|\n|\t"],
    ["%-d %-m %_d %-I %^a %P", "4 7  4 3 THU pm"],
    ["plain é", "plain é"],
    ["%%-d %%%d %Q %Ey %Od %Ed %d%%%", "%-d %04 %Q 24 04 %Ed 04%%"],
  ])("%j", (format, text) => {
    expect(new JinjaTemplate("{{ strftime_now(f) }}", { now }).render({ f: format })).toBe(text);
  });

  test.each([
    [2021, 0, 3, "53 01 00 2020"],
    [2018, 11, 31, "01 52 53 2019"],
    [2023, 0, 1, "52 01 00 2022"],
    [2020, 11, 31, "53 52 52 2020"],
  ])("weeks at the turn of a year: %i-%i-%i", (year, month, day, text) => {
    const template = new JinjaTemplate("{{ strftime_now('%V %U %W %G') }}", { now: () => new Date(year, month, day) });
    expect(template.render({})).toBe(text);
  });
});

test.each([
  ["%5d", "Unsupported"],
  ["%-A", "Unsupported"],
  ["%#p", "Unsupported"],
])("strftime_now(%j) is refused", (format, kind) => {
  expect(failure(() => render("{{ strftime_now(f) }}", { f: format })).kind).toBe(kind);
});

describe("errors", () => {
  test("say what Python says, and the line", () => {
    const error = failure(() =>
      render("a\n{% for m in messages %}\n{{ raise_exception('no ' ~ m.role) }}\n{% endfor %}", {
        messages: [{ role: "x" }],
      }),
    );
    expect(error).toMatchObject({ kind: "TemplateError", message: "no x", line: 3 });
    expect(failure(() => render("{{ m.content.x }}", { m: {} }))).toMatchObject({
      kind: "UndefinedError",
      message: "'dict object' has no attribute 'content'",
      line: 1,
    });
    expect(failure(() => new JinjaTemplate("a\n{% if x %}\n"))).toMatchObject({ kind: "TemplateSyntaxError", line: 2 });
  });

  test.each([
    ["{% include 'x' %}", "include"],
    ["{% import 'x' as y %}", "import"],
    ["{% from 'x' import y %}", "from"],
    ["{% extends 'x' %}", "extends"],
    ["{% autoescape true %}{% endautoescape %}", "autoescape"],
    ["{{ lipsum() }}", "lipsum"],
    ["{{ [1]|random }}", "random"],
    ["{{ 'x'|urlize }}", "urlize"],
    ["{{ 'x'|pprint }}", "pprint"],
    ["{{ 'x'.encode() }}", "encode"],
    ["{{ [1]|map('string') }}", "generator"],
    ["{{ 'x'.upper }}", "builtin_function_or_method"],
    ["{{ 2.0 ** 0.3 }}", "power"],
    ["{{ '\\N{BULLET}' }}", "\\N"],
    ["{{ '\\ud83d' }}", "surrogate"],
    ["{{ self.x() }}", "self"],
  ])("%s is refused by name", (source, name) => {
    const error = failure(() => render(source));
    expect(error.kind).toBe("Unsupported");
    expect(error.message).toContain(name);
  });

  test("an error leaves nothing behind for the next rendering", () => {
    const template = new JinjaTemplate("{% set x %}a{{ y.z }}{% endset %}{{ x }}");
    expect(() => template.render({})).toThrow(JinjaError);
    expect(template.render({ y: { z: 1 } })).toBe("a1");
  });
});

test("one template renders as often as it is asked", () => {
  const template = new JinjaTemplate(
    "{% for x in xs %}{{ loop.index }}{% endfor %}{% set a = 1 %}{{ b is defined }}{% set b = 1 %}",
  );
  expect(template.render({ xs: [1, 2] })).toBe("12False");
  expect(template.render({ xs: [1] })).toBe("1False");
});
