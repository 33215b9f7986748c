// What Python's str knows about characters: case, digits, letters.
import { once } from "../once.js";
import { spend, spendCharacters, spendText } from "./budget.js";
import { UNASSIGNED } from "./unicode-assigned.js";
import { isSpace } from "./whitespace.js";

/** The inside of a character class (flag u) of what Python does not know. */
const unassignedClass = once(() => {
  let code = 0;
  const ends = UNASSIGNED.split(" ").map((step) => {
    code += Number.parseInt(step, 36);
    return `\\u{${code.toString(16)}}`;
  });
  return ends.map((end, i) => (i % 2 === 0 ? end : `-${end}`)).join("");
});
const unassigned = once(() => new RegExp(`[${unassignedClass()}]`, "u"));

function hasUnassigned(text: string): boolean {
  return unassigned().test(text);
}

// Five modifier letters became lower case after Unicode 14, and one letter ceased to be.
const CASED = /(?![\u10fc\ua7f2-\ua7f4\uab69])[\p{Cased}\u0295]/u;
const UPPERCASE = /\p{Uppercase}/u;
const LOWERCASE = /(?![\u10fc\ua7f2-\ua7f4\uab69])[\p{Lowercase}\u0295]/u;
const TITLECASE = /\p{Lt}/u;

/** Every character passes, and there is one. What Python does not know passes no test. */
function every(text: string, test: (char: string) => boolean): boolean {
  if (text === "" || hasUnassigned(text)) return false;
  spendCharacters(text.length);
  for (const char of text) if (!test(char)) return false;
  return true;
}

/** A text for questions of case, which characters that Python does not know have no part in. */
function known(text: string): string {
  spendText(text.length * 4);
  if (!hasUnassigned(text)) return text;
  spendCharacters(text.length);
  return Array.from(text, (char) => (hasUnassigned(char) ? " " : char)).join("");
}

/** A text for \w of Python's re: what Python does not know becomes a sign, as long as it was. */
export function wordsOf(text: string): string {
  if (!hasUnassigned(text)) return text;
  spendCharacters(text.length);
  return Array.from(text, (char) => (hasUnassigned(char) ? SIGNS[char.length]! : char)).join("");
}
const SIGNS = ["", "\u00a7", "\u{1f600}"];

/** A digit of any script, as int() and float() read it. */
export function isDecimalDigit(char: string): boolean {
  return /^\p{Nd}$/u.test(char) && !hasUnassigned(char);
}

/** Small letters whose capitals came after Unicode 14. */
const LATER_CAPITALS = /[\u019b\u0264\ua7d3\ua7d5]/;

export function upper(text: string): string {
  if (!LATER_CAPITALS.test(text) && !hasUnassigned(text)) return text.toUpperCase();
  spendCharacters(text.length * 2);
  return Array.from(text, upperCharacter).join("");
}

function upperCharacter(char: string): string {
  return LATER_CAPITALS.test(char) || hasUnassigned(char) ? char : char.toUpperCase();
}

export function lower(text: string): string {
  return hasUnassigned(text) ? lowerByCharacter(text).join("") : text.toLowerCase();
}

/** Characters whose title case is no single capital that JavaScript knows of: digraphs, Greek with iota below, ligatures, Georgian. */
const ITSELF_IN_TITLES =
  /[\u01c5\u01c8\u01cb\u01f2\u10d0-\u10fa\u10fd-\u10ff\u1f88-\u1f8f\u1f98-\u1f9f\u1fa8-\u1faf\u1fbc\u1fcc\u1ffc]/;
const DIGRAPH = /[\u01c4-\u01cc\u01f1-\u01f3]/;
const IOTA_BELOW = /[\u1f80-\u1f87\u1f90-\u1f97\u1fa0-\u1fa7]/;
const SEVERAL_CAPITALS = /[\u00df\u0587\ufb00-\ufb06\ufb13-\ufb17]/;
const GREEK_TITLES: Readonly<Record<string, string>> = {
  "\u1fb2": "\u1fba\u0345",
  "\u1fb3": "\u1fbc",
  "\u1fb4": "\u0386\u0345",
  "\u1fb7": "\u0391\u0342\u0345",
  "\u1fc2": "\u1fca\u0345",
  "\u1fc3": "\u1fcc",
  "\u1fc4": "\u0389\u0345",
  "\u1fc7": "\u0397\u0342\u0345",
  "\u1ff2": "\u1ffa\u0345",
  "\u1ff3": "\u1ffc",
  "\u1ff4": "\u038f\u0345",
  "\u1ff7": "\u03a9\u0342\u0345",
};

function titleCharacter(char: string): string {
  if (ITSELF_IN_TITLES.test(char)) return char;
  if (DIGRAPH.test(char)) {
    // Groups of three: capital, title, small.
    const code = char.charCodeAt(0);
    const first = code < 0x1f0 ? 0x1c4 : 0x1f1;
    return String.fromCharCode(code - ((code - first) % 3) + 1);
  }
  if (IOTA_BELOW.test(char)) return String.fromCharCode(char.charCodeAt(0) + 8);
  const capital = upperCharacter(char);
  if (SEVERAL_CAPITALS.test(char)) return capital[0]! + capital.slice(1).toLowerCase();
  return GREEK_TITLES[char] ?? capital;
}

/** Each run of cased characters begins with a title-case letter. */
export function title(text: string): string {
  spendCharacters(text.length);
  let result = "";
  let within = false;
  // Lower case looks at the neighbours (a final sigma), so it is taken of the whole text, and read beside it.
  const lowered = lowerByCharacter(text);
  let i = 0;
  for (const char of text) {
    result += within ? lowered[i]! : titleCharacter(char);
    within = CASED.test(char) && !hasUnassigned(char);
    i++;
  }
  return result;
}

function lowerByCharacter(text: string): string[] {
  spendCharacters(text.length);
  const points = Array.from(text);
  return points.map((char, i) => {
    if (char === "\u03a3") return isFinalSigma(points, i) ? "\u03c2" : "\u03c3";
    return hasUnassigned(char) ? char : char.toLowerCase();
  });
}

const IGNORED_BY_CASE = /\p{Case_Ignorable}/u;

function isFinalSigma(points: readonly string[], at: number): boolean {
  const ignored = (char: string) => IGNORED_BY_CASE.test(char) && !hasUnassigned(char);
  spend(4);
  let before = at - 1;
  while (before >= 0 && ignored(points[before]!)) before--;
  spend((at - before) * 2);
  if (before < 0 || !CASED.test(known(points[before]!))) return false;
  let after = at + 1;
  while (after < points.length && ignored(points[after]!)) after++;
  spend((after - at) * 2);
  return after >= points.length || !CASED.test(known(points[after]!));
}

export function capitalize(text: string): string {
  const [first] = text;
  return first === undefined ? "" : titleCharacter(first) + lowerByCharacter(text).slice(1).join("");
}

/** Full case folding: the lower case of the upper case, but for Cherokee, which folds to capitals, and dotted and dotless i. */
function casefold(text: string): string {
  spendCharacters(text.length * 4);
  let result = "";
  for (const char of text) {
    if (/[\u13a0-\u13fd\uab70-\uabbf]/.test(char)) result += char.toUpperCase();
    else if (char === "\u1e9e") result += "ss";
    else if (char === "\u0131") result += char;
    else for (const part of upperCharacter(char)) result += hasUnassigned(part) ? part : part.toLowerCase();
  }
  return result;
}

function swapcase(text: string): string {
  spendCharacters(text.length);
  const lowered = lowerByCharacter(text);
  return Array.from(text, (char, i) => {
    if (UPPERCASE.test(char)) return lowered[i]!;
    return LOWERCASE.test(char) ? upperCharacter(char) : char;
  }).join("");
}

function isalpha(text: string): boolean {
  return every(text, (char) => /\p{L}/u.test(char));
}

function isdecimal(text: string): boolean {
  return every(text, (char) => /\p{Nd}/u.test(char));
}

/** Digits that are not decimal: superscripts, circled ones … (Numeric_Type=Digit). */
const OTHER_DIGIT =
  /[\u00b2\u00b3\u00b9\u1369-\u1371\u19da\u2070\u2074-\u2079\u2080-\u2089\u2460-\u2468\u2474-\u247c\u2488-\u2490\u24ea\u24f5-\u24fd\u24ff\u2776-\u277e\u2780-\u2788\u278a-\u2792\u{10a40}-\u{10a43}\u{10e60}-\u{10e68}\u{11052}-\u{1105a}\u{1f100}-\u{1f10a}]/u;

export function isdigit(text: string): boolean {
  return every(text, (char) => /\p{Nd}/u.test(char) || OTHER_DIGIT.test(char));
}

/** Ideographs that are numbers. */
const IDEOGRAPHIC_NUMBERS = new Set(
  "㐅㒃㠪㭍一七万三九二五亖亿什仟仨伍佰億兆兩八六十千卄卅卌叁参參叄四壹壱幺廾廿弌弍弎弐拾捌柒漆玖百肆萬貮貳贰阡陆陌陸零" +
    "\uf96b\uf973\uf978\uf9b2\uf9d1\uf9d3\uf9fd",
);
const MORE_IDEOGRAPHIC_NUMBERS = new Set([
  131073, 131172, 131298, 131361, 133418, 133507, 133516, 133532, 133866, 133885, 133913, 140176, 141720, 146203,
  156269, 194704,
]);

function isNumeric(char: string): boolean {
  return /\p{N}/u.test(char) || IDEOGRAPHIC_NUMBERS.has(char) || MORE_IDEOGRAPHIC_NUMBERS.has(char.codePointAt(0)!);
}

function isnumeric(text: string): boolean {
  return every(text, isNumeric);
}

function isalnum(text: string): boolean {
  return every(text, (char) => /\p{L}/u.test(char) || isNumeric(char));
}

function isascii(text: string): boolean {
  return !/[^\0-\x7f]/.test(text);
}

const identifier = once(() => /^[\p{XID_Start}_]\p{XID_Continue}*$/u);

export function isidentifier(text: string): boolean {
  return identifier().test(text) && !hasUnassigned(text);
}

function isspace(text: string): boolean {
  return every(text, isSpace);
}

/** What repr() writes as an escape, the backslash and quotes left out. */
export const unprintable = once(
  () => new RegExp(`[\\p{Cc}\\p{Cf}\\p{Cs}\\p{Co}\\p{Cn}\\p{Zl}\\p{Zp}${unassignedClass()}]|(?! )\\p{Zs}`, "gu"),
);

function isprintable(text: string): boolean {
  return text.search(unprintable()) === -1;
}

export function islower(text: string): boolean {
  const cased = known(text);
  return LOWERCASE.test(cased) && !UPPERCASE.test(cased) && !TITLECASE.test(cased);
}

export function isupper(text: string): boolean {
  const cased = known(text);
  return UPPERCASE.test(cased) && !LOWERCASE.test(cased) && !TITLECASE.test(cased);
}

function istitle(text: string): boolean {
  spendCharacters(text.length);
  let found = false;
  let within = false;
  for (const char of known(text)) {
    if (UPPERCASE.test(char) || TITLECASE.test(char)) {
      if (within) return false;
      found = within = true;
    } else if (LOWERCASE.test(char)) {
      if (!within) return false;
    } else {
      within = false;
    }
  }
  return found;
}

/** Methods of str that change case. */
export const CASE_CHANGES: Readonly<Record<string, (text: string) => string>> = {
  upper,
  lower,
  title,
  capitalize,
  casefold,
  swapcase,
};

/** Methods of str that ask of what characters it is. */
export const CHARACTER_TESTS: Readonly<Record<string, (text: string) => boolean>> = {
  isalnum,
  isalpha,
  isascii,
  isdecimal,
  isdigit,
  isidentifier,
  islower,
  isnumeric,
  isprintable,
  isspace,
  istitle,
  isupper,
};
