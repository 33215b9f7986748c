// Oniguruma's regular expressions (its own syntax, as tokenizers compiles them) written as JavaScript's. Nothing is passed through:
// every construct is known to mean the same, or written so that it does, or refused by its name. Sets of characters are written out, so
// that they are those of Unicode 16.0 under every Node.
//   .        anything but \n; with (?m) anything
//   ^ $      at lines, which only \n ends; ^ not behind a \n that ends the text
//   \s \w \d \h \p{…} [[:…:]] classes in classes, &&      as Oniguruma's Unicode tables have them
//   a{2}?    optional, not lazy; a{2}+ repeated, not possessive
//   a(?i)b|c reaches to the end of the group, alternatives and all

import { CodePoints, escaped } from "./code-points.js";
import {
  closed,
  type Effort,
  either,
  inSequence,
  NO_STEP,
  ONE_STEP,
  repeated as repeatedEffort,
} from "./pattern-steps.js";
import {
  bracketNamed,
  caseless,
  decimalDigits,
  propertyNamed,
  whiteSpace,
  wordCharacters,
  wordCharactersInClass,
} from "./unicode-properties.js";

/** What a pattern asks for that is not translated. */
export class UnsupportedPattern extends Error {}

interface Flags {
  readonly ignoreCase: boolean;
  readonly dotAll: boolean;
  readonly extended: boolean;
}

interface Term {
  readonly source: string;
  /** Whether it can match no text: JavaScript ends loops over such terms at other places. */
  readonly nullable: boolean;
  /** Under (?i: the letters that it may begin and end with, where Oniguruma sees them together with their neighbours. */
  readonly first: string;
  readonly last: string;
  readonly effort: Effort;
  /** An assertion, which nothing repeats. */
  readonly assertion?: boolean;
}

const HEX = CodePoints.of("0123456789abcdefABCDEF");
const LINE_BREAKS = "(?:\\r\\n|[\\n-\\r\\u{85}\\u{2028}\\u{2029}])";
const CONTROLS: Readonly<Record<string, number>> = { t: 9, n: 10, v: 11, f: 12, r: 13, a: 7, e: 27 };
/** {n}, {n,m}, {n,} and {,m}; other braces are text. */
const QUANTIFIER = /[*+?]|\{(\d+)\}|\{(\d*),(\d+)\}|\{(\d+),\}/y;
/** Pairs of letters that one character folds to: ß, ﬀ, ﬁ, ﬂ, ﬆ. */
const FOLDED_PAIRS = new Set(["ss", "ff", "fi", "fl", "st"]);

/** @throws {UnsupportedPattern} */
export function translateOniguruma(pattern: string): Pick<Term, "source" | "effort" | "nullable"> {
  return new Translator(pattern).translate();
}

class Translator {
  readonly #pattern: string;
  #at = 0;
  #groups = 0;
  #inLookbehind = 0;

  constructor(pattern: string) {
    this.#pattern = pattern;
  }

  translate(): Term {
    const term = this.#alternatives({ ignoreCase: false, dotAll: false, extended: false });
    if (this.#at < this.#pattern.length) throw new UnsupportedPattern("a ) without its (");
    return term;
  }

  #peek(text: string): boolean {
    return this.#pattern.startsWith(text, this.#at);
  }

  #take(text: string): boolean {
    const found = this.#peek(text);
    if (found) this.#at += text.length;
    return found;
  }

  /** Takes what `expression`, which is sticky, matches here. */
  #match(expression: RegExp): RegExpExecArray | null {
    expression.lastIndex = this.#at;
    const match = expression.exec(this.#pattern);
    if (match !== null) this.#at += match[0].length;
    return match;
  }

  #character(): string {
    const character = String.fromCodePoint(this.#pattern.codePointAt(this.#at)!);
    this.#at += character.length;
    return character;
  }

  /** Up to the end of the group. */
  #alternatives(flags: Flags): Term {
    const parts: Term[] = [this.#sequence(flags)];
    while (this.#take("|")) parts.push(this.#sequence(flags));
    return {
      source: parts.map(({ source }) => source).join("|"),
      nullable: parts.some(({ nullable }) => nullable),
      first: parts.map(({ first }) => first).join(""),
      last: parts.map(({ last }) => last).join(""),
      effort: parts.map(({ effort }) => effort).reduce(either),
    };
  }

  #sequence(flags: Flags): Term {
    let sequence: Term = { ...plain("", true), effort: NO_STEP };
    const add = (term: Term) => {
      refuseFoldedPairs(sequence.last, term.first);
      sequence = {
        source: sequence.source + term.source,
        nullable: sequence.nullable && term.nullable,
        first: sequence.nullable ? sequence.first + term.first : sequence.first,
        last: term.nullable ? sequence.last + term.last : term.last,
        effort: inSequence(sequence.effort, term.effort),
      };
    };
    while (this.#at < this.#pattern.length && !this.#peek("|") && !this.#peek(")")) {
      if (this.#skipped(flags)) continue;
      const isolated = this.#match(/\(\?([imx]*)(?:-([imx]*))?\)/y);
      if (isolated === null) add(this.#quantified(this.#atom(flags), flags));
      else add(grouped(this.#alternatives(withFlags(flags, isolated[1]!, isolated[2]))));
    }
    return sequence;
  }

  /** Comments, and with (?x) white space. */
  #skipped({ extended }: Flags): boolean {
    return (extended && this.#match(/\s+|#[^\n]*\n?/y) !== null) || this.#match(/\(\?#(?:[^)\\]|\\.)*\)/sy) !== null;
  }

  #quantified(atom: Term, flags: Flags): Term {
    while (this.#skipped(flags));
    const quantifier = this.#match(QUANTIFIER);
    if (quantifier === null) return atom;
    const [text, exact, low = exact ?? quantifier[4], high = exact ?? ""] = quantifier;
    const isInterval = text.startsWith("{");
    if (atom.assertion) throw new UnsupportedPattern(`${text} after an assertion`);
    const least = isInterval ? Number(low) : text === "+" ? 1 : 0;
    const most = text === "?" ? 1 : isInterval && high !== "" ? Number(high) : Number.POSITIVE_INFINITY;
    if (most < least || least > 1000 || (Number.isFinite(most) && most > 1000)) throw new UnsupportedPattern(text);
    if (atom.nullable && (most > 1 || least === 0)) throw new UnsupportedPattern(`${text} after what may be empty`);
    if (atom.nullable && text === "?") return this.#optional(atom);
    const effort = repeatedEffort(atom.effort, least, most);
    const repeated = `${atom.source}${isInterval ? `{${least},${Number.isFinite(most) ? most : ""}}` : text}`;
    if (most > 1) refuseFoldedPairs(atom.last, atom.first);
    const nullable = atom.nullable || least === 0;
    const term = this.#quantifierEnd({ ...atom, source: repeated, nullable, effort }, isInterval, exact !== undefined);
    if (this.#match(QUANTIFIER)) throw new UnsupportedPattern("a quantifier after a quantifier");
    return term;
  }

  /** What may be empty, or left out: JavaScript's ? would not take it when it is empty. */
  #optional(atom: Term): Term {
    const effort = either(atom.effort, NO_STEP);
    if (this.#take("?")) return { ...atom, source: `(?:|${atom.source})`, effort };
    const term = { ...atom, source: `(?:${atom.source}|)`, effort };
    return this.#take("+") ? this.#atomic(term) : term;
  }

  /** What stands behind a quantifier: + and ?, which mean something else after an interval. */
  #quantifierEnd(repeated: Term, isInterval: boolean, isExact: boolean): Term {
    const { source, nullable, effort } = repeated;
    if (this.#take("?")) {
      return isExact
        ? { ...repeated, source: `(?:${source})?`, nullable: true, effort: repeatedEffort(effort, 0, 1) }
        : { ...repeated, source: `${source}?` };
    }
    if (!this.#take("+")) return repeated;
    if (!isInterval) return this.#atomic(repeated);
    if (nullable) throw new UnsupportedPattern("+ after what may be empty");
    return { ...repeated, source: `(?:${source})+`, effort: repeatedEffort(effort, 1, Number.POSITIVE_INFINITY) };
  }

  /** JavaScript has no atomic groups; what a lookahead has found it does not look for again. */
  #atomic(term: Term): Term {
    if (this.#inLookbehind > 0)
      throw new UnsupportedPattern("an atomic group or possessive quantifier behind (?<= or (?<!");
    const name = `atomic${this.#groups++}`;
    return { ...term, source: `(?:(?=(?<${name}>${term.source}))\\k<${name}>)`, effort: closed(term.effort) };
  }

  #atom(flags: Flags): Term {
    if (this.#match(QUANTIFIER)) throw new UnsupportedPattern("a quantifier with nothing before it");
    if (this.#peek("(")) return this.#group(flags);
    if (this.#peek("[")) return this.#classTerm(flags);
    if (this.#peek("\\")) return this.#escape(flags);
    const character = this.#character();
    switch (character) {
      case ".":
        return plain(flags.dotAll ? "[^]" : "[^\\n]");
      case "^":
        return assertion("(?:(?<![^])|(?<=\\n)(?=[^]))");
      case "$":
        return assertion("(?=\\n|(?![^]))");
    }
    return literal(character, flags);
  }

  #group(flags: Flags): Term {
    const start = this.#at;
    const opening = this.#match(/\((?:\?(?::|=|!|>|<=|<!|([imx]*)(?:-([imx]*))?:|<[A-Za-z_]\w*>))?/y)!;
    const [text, on, off] = opening;
    if (text === "(" && (this.#peek("?") || this.#peek("*"))) {
      throw new UnsupportedPattern(this.#pattern.slice(start, start + 4));
    }
    const isLookbehind = text === "(?<=" || text === "(?<!";
    this.#inLookbehind += isLookbehind ? 1 : 0;
    const inner = this.#alternatives(on === undefined && off === undefined ? flags : withFlags(flags, on ?? "", off));
    this.#inLookbehind -= isLookbehind ? 1 : 0;
    if (!this.#take(")")) throw new UnsupportedPattern("a ( without its )");
    if (text === "(?>") return this.#atomic(inner);
    if (isLookbehind || text === "(?=" || text === "(?!") return assertion(`${text}${inner.source})`, inner.effort);
    return grouped(inner); // nothing refers to it
  }

  #escape(flags: Flags): Term {
    const start = this.#at;
    const word = wordCharacters().toPattern();
    if (this.#take("\\b")) return assertion(`(?:(?<=${word})(?!${word})|(?<!${word})(?=${word}))`);
    if (this.#take("\\B")) return assertion(`(?:(?<=${word})(?=${word})|(?<!${word})(?!${word}))`);
    if (this.#take("\\A")) return assertion("(?<![^])");
    if (this.#take("\\z")) return assertion("(?![^])");
    if (this.#take("\\Z")) return assertion("(?=\\n?(?![^]))");
    if (this.#take("\\N")) return plain("[^\\n]");
    if (this.#take("\\O")) return plain("[^]");
    if (this.#take("\\R")) return this.#atomic(plain(LINE_BREAKS));
    if (this.#take("\\w")) return plain(word);
    if (this.#take("\\W")) return plain(wordCharacters().complement().toPattern());
    const set = this.#setEscape();
    if (set !== undefined) return plain(set.toPattern());
    const code = this.#codeEscape(start);
    return literal(String.fromCodePoint(code), flags);
  }

  /** A set that an escape stands for, in a class and outside. */
  #setEscape(): CodePoints | undefined {
    const property = this.#match(/\\([pP])\{(\^?)([^}]*)\}/y);
    if (property !== null) {
      const [text, letter, negated, name] = property;
      const set = propertyNamed(name!);
      if (set === undefined) throw new UnsupportedPattern(text);
      return (letter === "P") !== (negated === "^") ? set.complement() : set;
    }
    const found = this.#match(/\\([sSdDhH])/y);
    if (found === null) return undefined;
    const letter = found[1]!;
    const set = { s: whiteSpace, d: decimalDigits, h: () => HEX }[letter.toLowerCase()]!();
    return letter === letter.toLowerCase() ? set : set.complement();
  }

  #codeEscape(start: number): number {
    const hex = this.#match(/\\x\{([0-9a-fA-F]{1,8})\}|\\x([0-7][0-9a-fA-F])(?![0-9a-fA-F])|\\u([0-9a-fA-F]{4})/y);
    if (hex !== null) {
      const code = Number.parseInt(hex[1] ?? hex[2] ?? hex[3]!, 16);
      if (code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) throw new UnsupportedPattern(hex[0]);
      return code;
    }
    const plain = this.#match(/\\([^A-Za-z0-9])/uy);
    if (plain !== null) return plain[1]!.codePointAt(0)!;
    const control = this.#match(/\\([tnvfrae])/y);
    if (control !== null) return CONTROLS[control[1]!]!;
    const rest = this.#pattern.slice(start, start + 4);
    throw new UnsupportedPattern(/^\\[a-zA-Z0-9]/.test(rest) ? rest.slice(0, 2) : rest);
  }

  #classTerm({ ignoreCase }: Flags): Term {
    const { set, folds } = this.#class();
    if (!ignoreCase) return plain(set.toPattern());
    const both = bothCases(set, folds);
    const letters = Array.from("sfilt").filter((letter) => both.has(letter.charCodeAt(0)));
    const [letter = ""] = both.size <= 3 ? letters : []; // a class of one letter is the letter
    return { ...plain(both.toPattern()), first: letter, last: letter };
  }

  /** `folds`: it names no complement, so that under (?i) its characters can be given their other case. */
  #class(): { set: CodePoints; folds: boolean } {
    this.#take("[");
    let folds = true;
    const negated = this.#take("^");
    if (this.#peek("]")) throw new UnsupportedPattern("] right behind [");
    const operands: CodePoints[][] = [[]];
    const add = (set: CodePoints) => operands.at(-1)!.push(set);
    while (!this.#take("]")) {
      if (this.#at >= this.#pattern.length) throw new UnsupportedPattern("a [ without its ]");
      if (this.#take("&&")) {
        operands.push([]);
        continue;
      }
      const bracket = this.#match(/\[:(\^?)(\w+):\]/y);
      if (bracket !== null) {
        const named = bracketNamed(bracket[2]!);
        if (named === undefined) throw new UnsupportedPattern(bracket[0]);
        add(bracket[1] === "^" ? named.complement() : named);
        continue;
      }
      if (this.#peek("[")) {
        const inner = this.#class();
        folds &&= inner.folds;
        add(inner.set);
        continue;
      }
      const set = this.#classEscape();
      add(set ?? this.#range());
    }
    const sets = operands.map((operand) => CodePoints.union(operand));
    const set = sets.reduce((all, operand) => all.intersection(operand));
    return { set: negated ? set.complement() : set, folds: folds && !negated };
  }

  #classEscape(): CodePoints | undefined {
    if (this.#take("\\w")) return wordCharactersInClass();
    if (this.#take("\\W")) return wordCharactersInClass().complement();
    const set = this.#setEscape();
    if (set !== undefined && this.#match(/-(?!\])/y)) throw new UnsupportedPattern("a range from a set");
    return set;
  }

  /** A character of a class, or a range. */
  #range(): CodePoints {
    const first = this.#classCharacter();
    if (!this.#match(/-(?![\]])/y)) return CodePoints.range(first, first);
    if (this.#peek("[") || this.#peek("&&")) throw new UnsupportedPattern("a range to a class");
    const last = this.#classCharacter();
    if (last < first) throw new UnsupportedPattern("a range that ends before it begins");
    return CodePoints.range(first, last);
  }

  #classCharacter(): number {
    if (this.#take("\\b")) return 8;
    return this.#peek("\\") ? this.#codeEscape(this.#at) : this.#character().codePointAt(0)!;
  }
}

function withFlags(flags: Flags, on: string, off = ""): Flags {
  const flag = (letter: string, before: boolean) => (on.includes(letter) || before) && !off.includes(letter);
  return {
    ignoreCase: flag("i", flags.ignoreCase),
    dotAll: flag("m", flags.dotAll),
    extended: flag("x", flags.extended),
  };
}

function plain(source: string, nullable = false): Term {
  return { source, nullable, first: "", last: "", effort: ONE_STEP };
}

function assertion(source: string, effort = ONE_STEP): Term {
  return { ...plain(source, true), effort: closed(effort), assertion: true };
}

function grouped(term: Term): Term {
  return { ...term, source: `(?:${term.source})` };
}

function literal(character: string, { ignoreCase }: Flags): Term {
  const code = character.codePointAt(0)!;
  if (!ignoreCase) return plain(escaped(code));
  const letter = character.toLowerCase();
  return { ...plain(bothCases(CodePoints.range(code, code), true).toPattern()), first: letter, last: letter };
}

/** @throws {UnsupportedPattern} where one of the letters `before` and one of those behind it are what one character folds to. */
function refuseFoldedPairs(before: string, behind: string): void {
  const letters = Array.from(before).find((a) => Array.from(behind).some((b) => FOLDED_PAIRS.has(a + b)));
  if (letters !== undefined)
    throw new UnsupportedPattern(`${letters} under (?i) with a letter behind it that one character folds to both of`);
}

/** A set with the other cases of its characters: of ASCII letters, K and ſ with them; others are refused. */
function bothCases(set: CodePoints, folds: boolean): CodePoints {
  const ascii = CodePoints.range(0, 0x7f);
  const beyond = set.intersection(ascii.complement());
  if (!folds || beyond.intersection(caseless().complement()).size > 0) {
    throw new UnsupportedPattern("a class or a letter beyond ASCII under (?i)");
  }
  const letters = Array.from("abcdefghijklmnopqrstuvwxyz").filter((letter) =>
    [letter, letter.toUpperCase()].some((cased) => set.has(cased.charCodeAt(0))),
  );
  const cases = letters.flatMap((letter) => [letter, letter.toUpperCase()]).join("");
  const others = `${letters.includes("s") ? "ſ" : ""}${letters.includes("k") ? "\u212a" : ""}`;
  return CodePoints.union([set, CodePoints.of(cases + others)]);
}
