// Templates that would take all time or memory, and those that look for JavaScript behind Python's values.
import { JinjaError, JinjaTemplate, type Limits } from "#quipu/jinja/template.js";
import { PyDict } from "#quipu/jinja/values.js";

function kindOf(source: string, context: Record<string, unknown> = {}, limits?: Limits): string {
  try {
    return `text ${new JinjaTemplate(source).render(context, limits)}`;
  } catch (error) {
    if (error instanceof JinjaError) return error.kind;
    throw error;
  }
}

const range = "range(100000)";
const loops = (depth: number, body: string) =>
  Array.from({ length: depth }, (_, i) => `{% for a${i} in ${range} %}`).join("") + body + "{% endfor %}".repeat(depth);

test.each([
  ["nested loops", loops(3, "")],
  ["nested loops that print", loops(2, "x")],
  ["a chain of filters over generators", loops(2, `{{ ${range}|map('string')|list|length }}`)],
  ["doubled strings", `{% set n = namespace(s='x') %}${loops(1, "{% set n.s = n.s ~ n.s %}")}`],
  ["doubled lists", `{% set n = namespace(s=[1]) %}${loops(1, "{% set n.s = n.s + n.s %}")}`],
  ["repeated strings", "{{ ('x' * 10000000) * 10000000 }}"],
  ["repeated lists", "{{ ([1] * 10000000) * 10000000 }}"],
  ["centred text", "{{ 'x'.center(10 ** 12) }}"],
  ["a wide format", "{{ '%1000000000000d' % 1 }}"],
  ["a wide format specification", "{{ '{:1000000000000}'.format(1) }}"],
  ["a precise format", "{{ '%.1000000000f' % 1.5 }}"],
  ["a format as precise as its text may be long", "{{ '%.60000000f' % 1.5 }}{{ '{:.60000000f}'.format(1.5) }}"],
  ["a wide format in groups", "{% for i in range(1000) %}{{ '{:060000,}'.format(1) }}{% endfor %}"],
  ["a long number", "{{ ('f' * 1000000)|int(0, 16) }}"],
  ["a wide indentation", "{{ [[1]]|tojson(indent=10 ** 9) }}"],
  ["wide indentations", "{{ range(100000)|list|tojson(indent=10 ** 5) }}"],
  ["a wide indentation of text", "{{ 'a\n'|indent(10 ** 9) }}"],
  ["replaced text", "{% set s = 'x' * 100000 %}{{ s.replace('x', s).replace('x', s) }}"],
  ["joined text", "{% set s = 'x' * 100000 %}{{ s.join(s|list) }}"],
  ["indented text", "{{ ('\n' * 1000000)|indent(1000000) }}"],
  ["powers", "{{ 10 ** (10 ** 10) }}"],
  ["factorials", `{% set n = namespace(f=1) %}${loops(1, "{% set n.f = n.f * (loop.index + 10 ** 9) %}")}`],
  [
    "an exponential value, printed",
    "{% set n = namespace(x=[]) %}{% for i in range(99) %}{% set n.x = [n.x, n.x] %}{% endfor %}{{ n.x }}",
  ],
  [
    "an exponential value, as JSON",
    "{% set n = namespace(x=[]) %}{% for i in range(99) %}{% set n.x = [n.x, n.x] %}{% endfor %}{{ n.x|tojson }}",
  ],
  [
    "exponential values, compared",
    "{% set n = namespace(x=[], y=[]) %}{% for i in range(99) %}{% set n.x = [n.x, n.x] %}{% set n.y = [n.y, n.y] %}{% endfor %}{{ n.x == n.y }}",
  ],
  ["long text, searched in a loop", `{% set s = 'x' * 1000000 %}${loops(1, "{{ 'y' in s }}")}`],
  ["long text, read by index", `{% set s = 'x' * 1000000 %}${loops(1, "{{ s[loop.index] }}")}`],
])("%s: ends at a limit", (_, source) => {
  expect(kindOf(source, {}, { maxSteps: 1_000_000 })).toBe("LimitError");
});

describe("steps grow with the work", () => {
  const many = 100_000;
  const dict = new PyDict();
  for (let i = 0; i < 10_000; i++) dict.set(i, i);
  const context = {
    s: "x".repeat(many),
    same: `${"x".repeat(many - 1)}x`,
    spaced: "x ".repeat(many / 2),
    far: "\u{1f600}".repeat(many / 2),
    l: new Array<number>(many).fill(1),
    d: dict,
    big: 10n ** 4000n,
  };

  test.each([
    ..."s + s; s ~ s; s == same; s < same ~ 'y'; 'y' in s; s.partition('y'); s.rpartition('y'); s.removeprefix(same); s.find('y')".split(
      ";",
    ),
    ..."s.startswith(same); s.endswith((same,)); s.split('x'); s.replace('x', ''); s.strip('x'); 'y'.strip(s); s.isalpha()".split(
      ";",
    ),
    ..."s.title(); s|title; s.swapcase(); s.casefold(); s.upper(); s is lower; s.expandtabs(); s[::-1]; s|list; s|tojson; [s]|string".split(
      ";",
    ),
    ..."s.join('xy'); spaced|wordwrap(9); s|truncate(9); spaced.split(); spaced.rsplit(); far[1]; far|length; far.count('x'); {s: 1}".split(
      ";",
    ),
    ..."l + l; l[1:]; l|list; l.copy(); l == l + []; 2 in l; l.count(1); l.index(2, 5); l|sort; l|unique|list; l|join; l|sum; l|min".split(
      ";",
    ),
    ..."l|batch(9)|list; l|groupby(0); l|tojson; l|string; l|map('string')|list; range(100000)|last; range(100000).count(5)".split(
      ";",
    ),
    ..."d.copy(); dict(d); namespace(d); d|items; d|dictsort; d.values()|list; 'y' in d.values(); d.items()|last; d.keys() < d.keys()".split(
      ";",
    ),
    "'{:2000}'.format(1) * 9",
  ])("%s", (expression) => {
    const source = `{% set x = ${expression} %}`;
    expect(kindOf(source, context, { maxSteps: 1_000 })).toBe("LimitError");
    expect(kindOf(source, context)).not.toBe("LimitError");
  });

  test.each([
    ["products", "big * big // big"],
    ["digits of an int", "big|string"],
    ["ints of digits", "('9' * 4000)|int"],
    ["digits of a float", "'%.4000g' % 1.5e-300"],
    ["powers of floats", "1.1 ** 1000"],
    ["bits", "big.bit_count()"],
    ["a long expression", `1${" + 1".repeat(300)}`],
    ["a long comparison", `1${" == 1".repeat(300)}`],
    ["a long list", `[${"1,".repeat(300)}]`],
    ["a long dict", `{${"1:1,".repeat(300)}}`],
    ["a chain of attributes", `1${" .real".repeat(300)}`],
    ["attributes of a filter", `[1]|map(attribute='${"real.".repeat(300)}real')|list`],
    ["a chain of conditions", `${"0 or ".repeat(300)}1`],
    ["long text that nearly fits, searched", "s[1:50000] ~ 'y' in s"],
    ["long text that nearly fits, searched from the end", "s.rfind('y' ~ s[1:500])"],
  ])("%s: more than 200 steps each", (_, expression) => {
    const source = `{% for i in range(100) %}{% set x = ${expression} %}{% endfor %}`;
    expect(kindOf(source, context, { maxSteps: 20_000 })).toBe("LimitError");
  });

  test("a template is read within bounds too", () => {
    const names = Array.from({ length: 5_000 }, (_, i) => `a${i}=1`).join();
    expect(kindOf(`{{ f(${names}) }}`)).toBe("LimitError");
  });

  test("a template of many parts is no long one", () => {
    expect(kindOf("{{ x }}{% if x %}{% endif %}".repeat(20_000))).toBe("text ");
  });
});

test("a rendering has limits without being given any", () => {
  // V8 ends the process at lists of 150 million items.
  expect(kindOf(`{% set n = namespace(s=[1]) %}${loops(1, "{% set n.s = n.s + n.s %}")}`)).toBe("LimitError");
  expect(kindOf("{% set n = namespace(s=(1,)) %}{% for i in range(40) %}{% set n.s = n.s + n.s %}{% endfor %}")).toBe(
    "LimitError",
  );
  expect(kindOf("{{ range(10)|slice(10 ** 9)|list|length }}")).toBe("LimitError");
  expect(kindOf(`{% set s = 'x' * 10000000 %}${loops(1, "{{ 'y' in s }}")}`)).toBe("LimitError");
  expect(kindOf("{% set s = 'x' * 60000000 %}{{ s }}{{ s }}")).toBe("LimitError");
});

test("what is no number takes linear time", () => {
  const x = `a${" ".repeat(1_000_000)}a`;
  expect(kindOf("{{ x|int }} {{ x|float }}", { x })).toBe("text 0 0.0");
  expect(kindOf("{{ x|float }}", { x: `${"1".repeat(1_000_000)}x` })).toBe("text 0.0");
});

test.each([
  ["a macro that calls itself", "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}"],
  ["nested parentheses", `{{ ${"(".repeat(100_000)}1${")".repeat(100_000)} }}`],
  ["nested lists", `{{ ${"[".repeat(100_000)}${"]".repeat(100_000)} }}`],
  ["nested signs", `{{ ${"-".repeat(100_000)}1 }}`],
  ["nested negations", `{{ ${"not ".repeat(100_000)}1 }}`],
  ["a chain of conditions", `{{ ${"1 if 0 else ".repeat(100_000)}1 }}`],
  ["nested blocks", `${"{% if 1 %}".repeat(100_000)}`],
  ["a deep value", "{% set n = namespace(x=[]) %}{% for i in range(9999) %}{% set n.x = [n.x] %}{% endfor %}{{ n.x }}"],
  [
    "a deep value as JSON",
    "{% set n = namespace(x=[]) %}{% for i in range(9999) %}{% set n.x = [n.x] %}{% endfor %}{{ n.x|tojson }}",
  ],
  [
    "deep values, compared",
    "{% set n = namespace(x=[], y=[]) %}{% for i in range(99999) %}{% set n.x = [n.x] %}{% set n.y = [n.y] %}{% endfor %}{{ n.x == n.y }}",
  ],
])("%s: too deep", (_, source) => {
  expect(kindOf(source)).toBe("RecursionError");
});

test("a long chain is no nesting, or is refused", () => {
  expect(["text 10000", "RecursionError"]).toContain(kindOf(`{{ ${"1 + ".repeat(9_999)}1 }}`));
  expect(kindOf(`{{ ${"1 + ".repeat(999)}1 }}`)).toBe("text 1000");
  expect(kindOf(`${"{% if x %}{% elif y %}{% endif %}".repeat(1000)}`)).toBe("text ");
});

test("a rendering's own limits", () => {
  const source = "{% for i in range(1000) %}xxxxxxxxxx{% endfor %}";
  expect(kindOf(source)).toBe(`text ${"x".repeat(10_000)}`);
  expect(kindOf(source, {}, { maxSteps: 500 })).toBe("LimitError");
  expect(kindOf(source, {}, { maxLength: 9_999 })).toBe("LimitError");
  expect(kindOf(source, {}, { maxLength: 10_000 })).toBe(`text ${"x".repeat(10_000)}`);
  expect(kindOf("{% macro m(n) %}{{ m(n - 1) if n else '' }}{% endmacro %}{{ m(50) }}", {}, { maxDepth: 40 })).toBe(
    "RecursionError",
  );
});

test("the sandbox's range", () => {
  expect(kindOf("{{ range(100001) }}")).toBe("OverflowError");
  expect(kindOf("{{ range(0, 10 ** 15, 10 ** 11)|length }}")).toBe("text 10000");
});

describe("nothing of JavaScript is reached", () => {
  const names = [
    "__proto__",
    "constructor",
    "toString",
    "hasOwnProperty",
    "valueOf",
    "prototype",
    "length",
    "then",
    "caller",
    "toJSON",
  ];
  const values: Record<string, unknown> = { s: "x", n: 1, f: 1.5, b: true, l: [1], d: { k: 1 }, t: null };

  test.each(names)("%s is no attribute, filter, test, name or key", (name) => {
    for (const value of Object.keys(values)) {
      if (value === "t") continue;
      expect(kindOf(`{{ ${value}.${name} is defined }}{{ ${value}['${name}'] is defined }}`, values)).toBe(
        "text FalseFalse",
      );
    }
    expect(kindOf(`{{ ${name} is defined }}`)).toBe("text False");
    if (name !== "length") expect(kindOf(`{{ 1|${name} }}`)).toBe("TemplateAssertionError");
    expect(kindOf(`{{ 1 is ${name} }}`)).toBe("TemplateAssertionError");
    expect(
      kindOf(`{{ namespace().${name} is defined }}{{ range.${name} is defined }}{{ cycler(1).${name} is defined }}`),
    ).toBe("text FalseFalseFalse");
    expect(kindOf(`{{ '{0.${name}}'.format('x') }}`)).toBe("text ");
    expect(kindOf(`{{ 'x'|attr('${name}') is defined }}{{ [1]|map(attribute='${name}')|first is defined }}`)).toBe(
      "text FalseFalse",
    );
  });

  test("such names are ordinary keys of dicts and attributes of namespaces", () => {
    const dict = new Map(names.map((name, i) => [name, i]));
    for (const [name, i] of dict) {
      if (name === "__proto__") continue;
      expect(kindOf(`{{ d.${name} }}{{ d['${name}'] }}{{ d.get('${name}') }}`, { d: dict })).toBe(`text ${i}${i}${i}`);
      expect(kindOf(`{% set n = namespace() %}{% set n.${name} = 1 %}{{ n.${name} }}`)).toBe("text 1");
      expect(kindOf(`{% set ${name} = 1 %}{{ ${name} }}`)).toBe("text 1");
      expect(kindOf(`{{ {'${name}': 1} }}`)).toBe(`text {'${name}': 1}`);
    }
    expect(kindOf("{{ d['__proto__'] }}{{ d.__proto__ }}", { d: JSON.parse('{"__proto__": 7}') })).toBe("text 77");
    expect(({} as Record<string, unknown>).x).toBeUndefined();
  });
});
