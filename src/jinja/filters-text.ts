// Filters whose value is a text (soft_str: what is no string is printed first, a safe string stays one).
import { asIndex, asText, type Bound, bound, type Filter } from "./arguments.js";
import { attributeGetter } from "./attribute-getter.js";
import { spend, spendCharacters, spendText } from "./budget.js";
import { JinjaError, typeError, unsupported, valueError } from "./errors.js";
import { isIterable, len, toArray } from "./iteration.js";
import { dumps } from "./json.js";
import { escapeText, toMarkup } from "./markup.js";
import { formatPercent } from "./percent-format.js";
import { str } from "./printing.js";
import { sliceText, textLength } from "./text.js";
import { center, replace, rsplit, splitLines, strip } from "./text-operations.js";
import { plain } from "./twins.js";
import { capitalize, lower, upper, wordsOf } from "./unicode.js";
import { isInt, Markup, PyDict, PyTuple, textOf, truthy, Undefined, type Value } from "./values.js";
import { WHITESPACE } from "./whitespace.js";
import { wordWrap } from "./word-wrap.js";

/** soft_str(): a string as it is, else str(). */
function soft(value: Value): string | Markup {
  return typeof value === "string" || value instanceof Markup ? value : str(value);
}

/** A text that keeps being safe where `value` was. */
function like(value: string | Markup, text: string): Value {
  return value instanceof Markup ? new Markup(text) : text;
}

function mapped(name: string, change: (text: string) => string): Filter {
  return bound(name, "s", ([value]) => {
    const text = soft(value!);
    spendText(textOf(text)!.length * 2);
    return like(text, change(textOf(text)!));
  });
}

/** do_title: words begin after blanks, hyphens and opening brackets; what follows is lower case. */
const WORD_BEGIN = new RegExp(`([-${WHITESPACE}({\\[<]+)`);

function titleWords(text: string): string {
  spendCharacters(text.length * 2);
  let at = 0;
  return plain(text)
    .split(WORD_BEGIN)
    .map((seen) => {
      const part = text.slice(at, at + seen.length);
      at += seen.length;
      const [first] = part;
      return first === undefined ? "" : upper(first) + lower(part.slice(first.length));
    })
    .join("");
}

const escaped = bound("escape", "value", ([value]) => toMarkup(value!));

export const textFilters: Readonly<Record<string, Filter>> = {
  upper: mapped("upper", upper),
  lower: mapped("lower", lower),
  capitalize: mapped("capitalize", capitalize),
  title: bound("title", "value", ([given]) => {
    return titleWords(str(given!));
  }),
  trim: bound("trim", "value chars?", ([given, chars]) => {
    const text = soft(given!);
    return like(text, strip(textOf(text)!, chars, "both"));
  }),
  string: bound("string", "value", ([given]) => {
    return soft(given!);
  }),
  replace: bound("replace", "s old new count?", ([text, old, by, count]) => {
    return replace(str(text!), str(old!), str(by!), count === undefined || count === null ? -1 : asIndex(count, -1));
  }),
  center: bound("center", "value width?", ([given, width]) => {
    const text = soft(given!);
    return like(text, center(textOf(text)!, asIndex(width, 80)));
  }),
  indent: bound("indent", "s width? first? blank?", ([text, width, first, blank]) => {
    return indent(text!, width, first !== undefined && truthy(first), blank !== undefined && truthy(blank));
  }),
  truncate: bound("truncate", "s length? killwords? end? leeway?", truncate),
  wordwrap: bound(
    "wordwrap",
    "s width? break_long_words? wrapstring? break_on_hyphens?",
    ([text, width, breakLong, wrapString, onHyphens]) => {
      const joiner = wrapString === undefined || wrapString === null ? "\n" : asText(wrapString, "wrapstring");
      return splitLines(asText(text, "the value of wordwrap"), false)
        .map((line) =>
          wordWrap(
            line,
            asIndex(width, 79),
            breakLong === undefined || truthy(breakLong),
            onHyphens === undefined || truthy(onHyphens),
          ),
        )
        .map((lines) => lines.join(joiner))
        .join(joiner);
    },
  ),
  wordcount: bound("wordcount", "value", ([given]) => {
    const text = str(given!);
    spendText(text.length);
    return wordsOf(text).match(/[\p{L}\p{N}_]+/gu)?.length ?? 0;
  }),
  format: (value, args, kwargs) => {
    if (args.length > 0 && kwargs.size > 0) {
      throw new JinjaError("FilterArgumentError", "can't handle positional and keyword arguments at the same time");
    }
    const values = new PyDict();
    for (const [key, item] of kwargs) values.set(key, item);
    return formatPercent(soft(value), kwargs.size > 0 ? values : new PyTuple(args));
  },
  join: bound("join", "value d? attribute?", join),
  tojson: bound(
    "tojson",
    "x ensure_ascii? indent? separators? sort_keys?",
    ([x, ascii, indentation, separators, sortKeys]) => {
      return dumps(x!, {
        ensureAscii: ascii !== undefined && truthy(ascii),
        indent: jsonIndent(indentation),
        separators: jsonSeparators(separators),
        sortKeys: sortKeys !== undefined && truthy(sortKeys),
      });
    },
  ),
  urlencode: bound("urlencode", "value", ([given]) => {
    return urlEncode(given!);
  }),
  striptags: bound("striptags", "value", ([given]) => {
    return stripTags(str(given!));
  }),
  safe: bound("safe", "value", ([given]) => {
    return new Markup(str(given!));
  }),
  escape: escaped,
  e: escaped,
  forceescape: bound("forceescape", "value", ([value]) => new Markup(escapeText(str(value!)))),
  xmlattr: bound("xmlattr", "d autospace?", ([dict, autospace]) => {
    if (!(dict instanceof PyDict)) throw new JinjaError("AttributeError", "xmlattr takes a dict");
    const parts: string[] = [];
    for (const [key, item] of dict.entries()) {
      if (item === null || item instanceof Undefined) continue;
      const name = textOf(key);
      if (name === undefined) throw typeError("expected string or bytes-like object");
      if (/[\t-\r />=]/.test(name)) throw valueError(`Invalid character in attribute name: '${name}'`);
      parts.push(`${toMarkup(key).text}="${toMarkup(item).text}"`);
    }
    const text = parts.join(" ");
    return text !== "" && (autospace === undefined || truthy(autospace)) ? ` ${text}` : text;
  }),
};

function join([items, separator, attribute]: Bound): Value {
  const get = attribute === undefined || attribute === null ? undefined : attributeGetter(attribute);
  const parts = toArray(items!).map((item) => str(get === undefined ? item : get(item)));
  const between = separator === undefined ? "" : str(separator);
  spendText(parts.reduce((length, part) => length + part.length + between.length, 0));
  return parts.join(between);
}

function jsonIndent(value: Value | undefined): string | undefined {
  if (value === undefined || value === null) return undefined;
  const text = textOf(value);
  if (text !== undefined) return text;
  const width = Math.max(0, asIndex(value, 0));
  spendText(width);
  return " ".repeat(width);
}

function jsonSeparators(value: Value | undefined): readonly [string, string] | undefined {
  if (value === undefined || value === null) return undefined;
  const items = toArray(value);
  if (items.length !== 2) throw valueError(`separators must be two strings, not ${items.length} values`);
  return [asText(items[0], "the item separator"), asText(items[1], "the key separator")];
}

function indent(value: Value, width: Value | undefined, first: boolean, blank: boolean): Value {
  const given = textOf(value);
  if (given === undefined) throw typeError("indent takes a string");
  const by = width === undefined ? "    " : (textOf(width) ?? " ".repeat(Math.max(0, checkedWidth(width))));
  const [prefix, ...others] = splitLines(`${given}\n`, false) as [string, ...string[]];
  spendText(given.length + by.length * (others.length + 1));
  const indented = others.map((line) => (blank || line !== "" ? by + line : line));
  const text = (first ? by : "") + [prefix, ...indented].join("\n");
  return value instanceof Markup ? new Markup(text) : text;
}

function checkedWidth(width: Value): number {
  if (!isInt(width) && typeof width !== "boolean") throw typeError("can't multiply sequence by non-int");
  spendText(Math.max(0, Number(width)));
  return Number(width);
}

function truncate([value, length, killWords, end, leeway]: Bound): Value {
  const limit = asIndex(length, 255);
  const tail = end === undefined ? "..." : asText(end, "end");
  const slack = leeway === undefined || leeway === null ? 5 : asIndex(leeway, 5);
  const tailLength = textLength(tail);
  if (limit < tailLength) throw new JinjaError("AssertionError", `expected length >= ${tailLength}, got ${limit}`);
  if (slack < 0) throw new JinjaError("AssertionError", `expected leeway >= 0, got ${slack}`);
  if (len(value!) <= limit + slack) return value!;
  const text = asText(value, "the value of truncate");
  const cut = sliceText(text, undefined, limit - tailLength);
  const kept = killWords !== undefined && truthy(killWords) ? cut : rsplit(cut, " ", 1)[0]!;
  if (value instanceof Markup) return new Markup(kept + (end instanceof Markup ? tail : escapeText(tail)));
  return end instanceof Markup ? new Markup(escapeText(kept) + tail) : kept + tail;
}

/** urllib.parse.quote with "/" kept, or for query strings, where "+" stands for a blank. */
function quote(value: Value, forQuery: boolean): string {
  const text = str(value);
  spendCharacters(text.length * 2);
  if (/\p{Cs}/u.test(text)) throw new JinjaError("UnicodeEncodeError", "surrogates not allowed");
  const quoted = encodeURIComponent(text).replace(
    /[!'()*]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
  );
  return forQuery ? quoted.replaceAll("%20", "+") : quoted.replaceAll("%2F", "/");
}

function urlEncode(value: Value): string {
  if (textOf(value) !== undefined || !isIterable(value)) return quote(value, false);
  const pairs = value instanceof PyDict ? Array.from(value.entries()) : toArray(value).map((pair) => toArray(pair));
  return pairs
    .map((pair) => {
      if (pair.length !== 2) throw valueError("urlencode takes pairs of key and value");
      return `${quote(pair[0]!, true)}=${quote(pair[1]!, true)}`;
    })
    .join("&");
}

/** Markup.striptags: comments and tags out, blanks to single ones. Entities would have to be named one by one, so all but the common ones are refused. */
function stripTags(text: string): string {
  spendText(text.length * 2);
  let kept = "";
  let from = 0;
  const seen = plain(text);
  for (let at = seen.indexOf("<"); at !== -1; at = seen.indexOf("<", from)) {
    const isComment = seen.startsWith("<!--", at);
    const end = isComment ? seen.indexOf("-->", at + 4) : seen.indexOf(">", at);
    if (end === -1) break;
    kept += text.slice(from, at);
    from = end + (isComment ? 3 : 1);
  }
  const words = (kept + text.slice(from)).split(new RegExp(`[${WHITESPACE}]+`)).filter((word) => word !== "");
  return words.join(" ").replace(/&(?:#?\w+;?)?/g, (entity) => {
    spend(4);
    const known = ENTITIES[entity];
    if (entity === "&") return entity;
    if (known === undefined) throw unsupported(`the entity ${entity} in striptags`);
    return known;
  });
}

const ENTITIES: Readonly<Record<string, string>> = {
  __proto__: null as never,
  "&amp;": "&",
  "&lt;": "<",
  "&gt;": ">",
  "&quot;": '"',
  "&#34;": '"',
  "&#39;": "'",
  "&nbsp;": "\u00a0",
};
