// The properties of characters by the names that Oniguruma knows them by, of Unicode 16.0 whatever version Node has.
import { once } from "../once.js";
import { CodePoints } from "./code-points.js";
import { CATEGORIES, PROPERTIES, SCRIPTS } from "./unicode-data.js";

type Category = keyof typeof CATEGORIES;

const cache = new Map<string, CodePoints>();

/** A set as unicode-data.ts writes it. */
export function decoded(numbers: string): CodePoints {
  const found = cache.get(numbers);
  if (found !== undefined) return found;
  const values = numbers.split(" ").map((number) => Number.parseInt(number, 36));
  const ranges: CodePoints[] = [];
  let at = 0;
  for (let i = 0; i < values.length; i += 2) {
    const first = at + values[i]!;
    at = first + values[i + 1]!;
    ranges.push(CodePoints.range(first, at - 1));
  }
  const set = CodePoints.union(ranges);
  cache.set(numbers, set);
  return set;
}

const categories = (...names: Category[]) => CodePoints.union(names.map((name) => decoded(CATEGORIES[name])));
const group = (letter: string) =>
  categories(...(Object.keys(CATEGORIES) as Category[]).filter((name) => name.startsWith(letter)));
const property = (name: keyof typeof PROPERTIES) => decoded(PROPERTIES[name]);
const unassigned = () =>
  CodePoints.union((Object.keys(CATEGORIES) as Category[]).map((name) => categories(name))).complement();
const without = (set: CodePoints, ...others: CodePoints[]) => set.intersection(CodePoints.union(others).complement());
const graph = () => without(CodePoints.all, property("White_Space"), categories("Cc", "Cs"), unassigned());

const SETS: Readonly<Record<string, () => CodePoints>> = {
  any: () => CodePoints.all,
  ascii: () => CodePoints.range(0, 0x7f),
  assigned: () => unassigned().complement(),
  alphabetic: () => property("Alphabetic"),
  lowercase: () => property("Lowercase"),
  uppercase: () => property("Uppercase"),
  whitespace: () => property("White_Space"),
  // POSIX brackets, and properties of these names
  alpha: () => property("Alphabetic"),
  alnum: () => CodePoints.union([property("Alphabetic"), categories("Nd")]),
  blank: () => CodePoints.union([categories("Zs"), CodePoints.of("\t")]),
  cntrl: () => categories("Cc"),
  digit: () => categories("Nd"),
  graph,
  lower: () => property("Lowercase"),
  print: () => CodePoints.union([graph(), categories("Zs")]),
  space: () => property("White_Space"),
  upper: () => property("Uppercase"),
  xdigit: () => CodePoints.of("0123456789abcdefABCDEF"),
  // general categories
  l: () => group("L"),
  lc: () => categories("Lu", "Ll", "Lt"),
  m: () => group("M"),
  n: () => group("N"),
  p: () => group("P"),
  s: () => group("S"),
  z: () => group("Z"),
  c: () => CodePoints.union([group("C"), unassigned()]),
  cn: unassigned,
};

/** Long names of general categories. */
const ALIASES: Readonly<Record<string, string>> = {
  letter: "l",
  casedletter: "lc",
  mark: "m",
  combiningmark: "m",
  number: "n",
  punctuation: "p",
  punct: "p",
  symbol: "s",
  separator: "z",
  other: "c",
  unassigned: "cn",
  uppercaseletter: "lu",
  lowercaseletter: "ll",
  titlecaseletter: "lt",
  modifierletter: "lm",
  otherletter: "lo",
  nonspacingmark: "mn",
  spacingmark: "mc",
  enclosingmark: "me",
  decimalnumber: "nd",
  letternumber: "nl",
  othernumber: "no",
  connectorpunctuation: "pc",
  dashpunctuation: "pd",
  openpunctuation: "ps",
  closepunctuation: "pe",
  initialpunctuation: "pi",
  finalpunctuation: "pf",
  otherpunctuation: "po",
  mathsymbol: "sm",
  currencysymbol: "sc",
  modifiersymbol: "sk",
  othersymbol: "so",
  spaceseparator: "zs",
  lineseparator: "zl",
  paragraphseparator: "zp",
  control: "cc",
  format: "cf",
  privateuse: "co",
  surrogate: "cs",
};

const tables = once(
  () => new Map(Object.entries({ ...SCRIPTS, ...CATEGORIES }).map(([name, numbers]) => [normalized(name), numbers])),
);

function normalized(name: string): string {
  return name.toLowerCase().replace(/[ _-]/g, "");
}

/** The characters of `\p{name}`; undefined for a name that is not known. Names are as Oniguruma takes them: case, spaces, - and _ do not count. */
export function propertyNamed(name: string): CodePoints | undefined {
  const plain = normalized(name);
  if (plain === "word") return wordCharacters();
  const short = ALIASES[plain] ?? plain;
  const made = Object.hasOwn(SETS, short) ? SETS[short]!() : undefined;
  const numbers = tables().get(short);
  return made ?? (numbers === undefined ? undefined : decoded(numbers));
}

/** The characters of `[:name:]`. */
export function bracketNamed(name: string): CodePoints | undefined {
  if (name === "punct") return CodePoints.union([group("P"), group("S")]);
  if (name === "word") return wordCharactersInClass();
  const known = [
    "alnum",
    "alpha",
    "ascii",
    "blank",
    "cntrl",
    "digit",
    "graph",
    "lower",
    "print",
    "space",
    "upper",
    "xdigit",
  ];
  return known.includes(name) ? propertyNamed(name) : undefined;
}

/** What `\w` is inside a class. */
export const wordCharactersInClass = once(() =>
  CodePoints.union([property("Alphabetic"), group("M"), categories("Nd", "Pc")]),
);

/** What `\w` is elsewhere: below U+0100 Oniguruma asks a table of ISO 8859-1, which has these too. */
export const wordCharacters = once(() => CodePoints.union([wordCharactersInClass(), CodePoints.of("²³¹¼½¾")]));

export const decimalDigits = () => categories("Nd");
export const whiteSpace = () => property("White_Space");

/** Characters beyond ASCII that are their own only case variant. */
export function caseless(): CodePoints {
  return CodePoints.union([group("P"), group("Z"), categories("Nd", "Lo", "Sm", "Sc")]);
}
