// The methods of str, by code points and with Python's ideas of whitespace, lines and case.
import { asBound, asIndex, asText, type Bound, signature } from "./arguments.js";
import { checkLength, spend, spendCharacters, spendSearch, spendText } from "./budget.js";
import { typeError, unsupported, valueError } from "./errors.js";
import { toArray } from "./iteration.js";
import { escapeText } from "./markup.js";
import { sliceText, textLength } from "./text.js";
import { center, pad, replace, rsplit, separator, split, splitLines, strip } from "./text-operations.js";
import { cut, plain } from "./twins.js";
import { CASE_CHANGES, CHARACTER_TESTS } from "./unicode.js";
import { Markup, PyFunction, PyTuple, textOf, truthy, typeName, type Value } from "./values.js";

type Implementation = (text: string, args: Bound) => Value;

interface Method {
  readonly bind: ReturnType<typeof signature>;
  readonly run: Implementation;
  /** Of a Markup: which result is one too, and which argument is escaped first. */
  readonly markup: boolean;
  readonly escapes: number;
}

const METHODS = new Map<string, Method>();

function define(name: string, spec: string, run: Implementation, { markup = false, escapes = -1 } = {}): void {
  METHODS.set(name, { bind: signature(spec), run, markup, escapes });
}

/** The method `name` of a string or a Markup, but for format and format_map; undefined where str has none. */
export function stringMethod(self: string | Markup, text: string, name: string): Value | undefined {
  const method = METHODS.get(name);
  if (method === undefined) {
    if (UNSUPPORTED.has(name)) throw unsupported(`the method ${name} of strings`);
    if (self instanceof Markup && ["unescape", "striptags", "escape"].includes(name)) {
      throw unsupported(`the method ${name} of a safe string`);
    }
    return undefined;
  }
  return new PyFunction(name, "builtin_function_or_method", (args, kwargs) => {
    const bound = method.bind(name, args, kwargs);
    if (!(self instanceof Markup)) return method.run(text, bound);
    const escaped = bound.map((value, i) =>
      i === method.escapes && typeof value === "string" ? escapeText(value) : value,
    );
    if (name === "join") return new Markup(joinEscaped(text, bound[0]!));
    const result = method.run(text, escaped);
    return method.markup ? asMarkup(result) : result;
  });
}

const UNSUPPORTED = new Set(["encode", "maketrans", "translate"]);

function asMarkup(value: Value): Value {
  if (typeof value === "string") return new Markup(value);
  if (value instanceof PyTuple) return new PyTuple(value.items.map(asMarkup));
  return (value as readonly Value[]).map(asMarkup);
}

function joinEscaped(separator: string, items: Value): string {
  return toArray(items)
    .map((item) => (item instanceof Markup ? item.text : escapeText(asText(item, "sequence item"))))
    .join(separator);
}

for (const [name, ends] of [
  ["strip", "both"],
  ["lstrip", "left"],
  ["rstrip", "right"],
] as const) {
  define(name, "chars? /", (text, [chars]) => strip(text, chars, ends), { markup: true });
}

define("split", "sep? maxsplit?", (text, [sep, max]) => split(text, sep, asIndex(max, -1)), { markup: true });
define("rsplit", "sep? maxsplit?", (text, [sep, max]) => rsplit(text, sep, asIndex(max, -1)), { markup: true });

define("splitlines", "keepends?", (text, [keep]) => splitLines(text, keep !== undefined && truthy(keep)), {
  markup: true,
});

define(
  "partition",
  "sep /",
  (text, [sep]) => {
    const by = separator(sep!);
    spendSearch(text.length, by.length);
    const at = plain(text).indexOf(plain(by));
    return new PyTuple(at === -1 ? [text, "", ""] : [text.slice(0, at), by, text.slice(at + by.length)]);
  },
  { markup: true },
);
define(
  "rpartition",
  "sep /",
  (text, [sep]) => {
    const by = separator(sep!);
    spendSearch(text.length, by.length, true);
    const at = plain(text).lastIndexOf(plain(by));
    return new PyTuple(at === -1 ? ["", "", text] : [text.slice(0, at), by, text.slice(at + by.length)]);
  },
  { markup: true },
);

/** The part of a text between two indices, and the index of its first character; undefined where it begins behind the end. */
function region(
  text: string,
  start: Value | undefined,
  stop: Value | undefined,
): { part: string; offset: number } | undefined {
  const [from, to] = [asBound(start), asBound(stop)];
  if (from === undefined && to === undefined) return { part: text, offset: 0 };
  const length = textLength(text);
  const offset = from === undefined ? 0 : from < 0 ? Math.max(0, from + length) : from;
  const end = to === undefined ? length : to < 0 ? Math.max(0, to + length) : Math.min(to, length);
  return offset > end ? undefined : { part: sliceText(text, offset, end), offset };
}

function find(text: string, [sub, start, stop]: Bound, last: boolean): number {
  const needle = asText(sub, "argument");
  spendSearch(text.length, needle.length, last);
  const where = region(text, start, stop);
  if (where === undefined) return -1;
  const [seen, sought] = [plain(where.part), plain(needle)];
  const at = last ? seen.lastIndexOf(sought) : seen.indexOf(sought);
  return at === -1 ? -1 : where.offset + textLength(where.part.slice(0, at));
}

for (const [name, last] of [
  ["find", false],
  ["rfind", true],
  ["index", false],
  ["rindex", true],
] as const) {
  define(name, "sub start? end? /", (text, args) => {
    const at = find(text, args, last);
    if (at === -1 && name.endsWith("index")) throw valueError("substring not found");
    return at;
  });
}

define("count", "sub start? end? /", (text, [sub, start, stop]) => {
  spendText(text.length);
  const needle = asText(sub, "argument");
  const part = region(text, start, stop)?.part;
  if (part === undefined) return 0;
  if (needle === "") return textLength(part) + 1;
  const parts = cut(part, needle).length;
  spend(parts);
  return parts - 1;
});

for (const name of ["startswith", "endswith"] as const) {
  define(name, "prefix start? end? /", (text, [affix, start, stop]) => {
    spendText(text.length);
    const affixes = affix instanceof PyTuple ? affix.items : [affix!];
    for (const value of affixes) spendText(16 + (textOf(value)?.length ?? 0));
    const texts = affixes.map((value) =>
      asText(value, affix instanceof PyTuple ? `tuple for ${name}` : `${name} first arg`),
    );
    const part = region(text, start, stop)?.part;
    if (part === undefined) return false;
    const seen = plain(part);
    return texts.some((value) => (name === "startswith" ? seen.startsWith(plain(value)) : seen.endsWith(plain(value))));
  });
}

define(
  "replace",
  "old new count? /",
  (text, [old, by, count]) =>
    replace(text, asText(old, "replace() argument 1"), asText(by, "replace() argument 2"), asIndex(count, -1)),
  { markup: true, escapes: 1 },
);

define(
  "removeprefix",
  "prefix /",
  (text, [prefix]) => {
    const start = asText(prefix, "removeprefix() argument");
    spendText(text.length);
    return plain(text).startsWith(plain(start)) ? text.slice(start.length) : text;
  },
  { markup: true },
);
define(
  "removesuffix",
  "suffix /",
  (text, [suffix]) => {
    const end = asText(suffix, "removesuffix() argument");
    spendText(text.length);
    return end !== "" && plain(text).endsWith(plain(end)) ? text.slice(0, -end.length) : text;
  },
  { markup: true },
);

define("join", "iterable /", (text, [iterable]) => {
  const items = toArray(iterable!).map((item, i) => {
    const part = textOf(item);
    if (part === undefined) throw typeError(`sequence item ${i}: expected str instance, ${typeName(item)} found`);
    return part;
  });
  spendText(items.reduce((length, part) => length + part.length, text.length * items.length));
  return items.join(text);
});

for (const [name, change] of Object.entries(CASE_CHANGES)) {
  define(
    name,
    "",
    (text) => {
      spendText(text.length * 2);
      return change(text);
    },
    { markup: true },
  );
}

for (const [name, holds] of Object.entries(CHARACTER_TESTS)) {
  define(name, "", (text) => {
    spendText(text.length);
    return holds(plain(text));
  });
}

function fill(value: Value | undefined): string {
  if (value === undefined) return " ";
  const char = asText(value, "the fill character");
  if (textLength(char) !== 1) throw typeError("The fill character must be exactly one character long");
  return char;
}

const PADDED = { markup: true, escapes: 1 };
define("center", "width fillchar? /", (text, [width, char]) => center(text, asIndex(width, 0), fill(char)), PADDED);
define(
  "ljust",
  "width fillchar? /",
  (text, [width, char]) => pad(text, fill(char), 0, Math.max(0, asIndex(width, 0) - textLength(text))),
  PADDED,
);
define(
  "rjust",
  "width fillchar? /",
  (text, [width, char]) => pad(text, fill(char), Math.max(0, asIndex(width, 0) - textLength(text)), 0),
  PADDED,
);
define(
  "zfill",
  "width /",
  (text, [width]) => {
    const zeros = Math.max(0, asIndex(width, 0) - textLength(text));
    const sign = /^[+-]/.test(text) ? text[0]! : "";
    return sign + pad(text.slice(sign.length), "0", zeros, 0);
  },
  { markup: true },
);

define(
  "expandtabs",
  "tabsize?",
  (text, [size]) => {
    const width = asIndex(size, 8);
    spendCharacters(text.length);
    let column = 0;
    let result = "";
    for (const char of text) {
      if (char === "\t") {
        const spaces = width > 0 ? width - (column % width) : 0;
        spend(1);
        spendText(spaces);
        checkLength(result.length + spaces);
        result += " ".repeat(spaces);
        column += spaces;
      } else {
        column = char === "\n" || char === "\r" ? 0 : column + 1;
        result += char;
      }
    }
    return result;
  },
  { markup: true },
);
