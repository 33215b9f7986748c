// str.format and str.format_map: replacement fields of string.Formatter, which Jinja2's sandbox uses, and format specifications.
import { spend, spendText } from "./budget.js";
import { JinjaError, typeError, unsupported, valueError } from "./errors.js";
import { formatValue } from "./format-spec.js";
import { repr, str } from "./printing.js";
import { Markup, PyDict, PyFunction, type Value } from "./values.js";

/** How the parts of a field's name are found: `{0.name}` and `{0[key]}`. */
export interface Lookup {
  attribute(object: Value, name: string): Value;
  item(object: Value, key: Value): Value;
}

/** The method `name` of a string where it is one of these two. It throws ValueError, IndexError, KeyError, TypeError. */
export function formatMethod(self: string | Markup, name: string, lookup: Lookup): PyFunction | undefined {
  if (name !== "format" && name !== "format_map") return undefined;
  if (self instanceof Markup) throw unsupported(`the method ${name} of a safe string`);
  return new PyFunction(name, "builtin_function_or_method", (args, kwargs) => {
    if (name === "format") return new Formatter(args, (key) => kwargs.get(key), lookup).fields(self, 2);
    if (kwargs.size > 0) throw typeError("format_map() takes no keyword arguments");
    if (args.length !== 1) throw typeError(`format_map() takes exactly one argument (${args.length} given)`);
    const [mapping] = args;
    if (!(mapping instanceof PyDict)) throw unsupported("format_map() of what is no dict");
    return new Formatter([], (key) => mapping.get(key), lookup).fields(self, 2);
  });
}

class Formatter {
  readonly #args: readonly Value[];
  readonly #named: (name: string) => Value | undefined;
  readonly #lookup: Lookup;
  /** The next number for `{}`; null once a number was written, as the two do not go together. */
  #automatic: number | null | undefined;

  constructor(args: readonly Value[], named: (name: string) => Value | undefined, lookup: Lookup) {
    this.#args = args;
    this.#named = named;
    this.#lookup = lookup;
  }

  fields(format: string, depth: number): string {
    if (depth < 0) throw valueError("Max string recursion exceeded");
    let result = "";
    for (let i = 0; i < format.length; ) {
      const char = format[i]!;
      if (char !== "{" && char !== "}") {
        const next = format.slice(i).search(/[{}]/);
        const end = next === -1 ? format.length : i + next;
        spendText(end - i);
        result += format.slice(i, end);
        i = end;
        continue;
      }
      if (format[i + 1] === char) {
        spend(1);
        result += char;
        i += 2;
        continue;
      }
      if (char === "}") throw valueError("Single '}' encountered in format string");
      if (i + 1 >= format.length) throw valueError("Single '{' encountered in format string");
      const end = fieldEnd(format, i + 1);
      result += this.#field(format.slice(i + 1, end), depth);
      spendText(result.length);
      i = end + 1;
    }
    return result;
  }

  #field(field: string, depth: number): string {
    spend(4);
    const [name, conversion, spec] = splitField(field);
    let value = this.#value(name);
    if (conversion === "s") value = str(value);
    else if (conversion === "r") value = repr(value);
    else if (conversion === "a") throw unsupported("the conversion !a");
    else if (conversion !== undefined) throw valueError(`Unknown conversion specifier ${conversion}`);
    return formatValue(value, spec.includes("{") || spec.includes("}") ? this.fields(spec, depth - 1) : spec);
  }

  #value(name: string): Value {
    const first = /^[^.[]*/.exec(name)![0];
    let value = this.#first(first);
    let rest = name.slice(first.length);
    while (rest !== "") {
      const step = /^(?:\.([^.[]+)|\[([^\]]+)\])/.exec(rest);
      if (step === null) throw valueError("Only '.' or '[' may follow ']' in format field specifier");
      const key = step[2];
      value =
        key === undefined
          ? this.#lookup.attribute(value, step[1]!)
          : this.#lookup.item(value, /^\d+$/.test(key) ? Number(key) : key);
      rest = rest.slice(step[0].length);
    }
    return value;
  }

  #first(name: string): Value {
    let key = name;
    if (name === "") {
      if (this.#automatic === null)
        throw valueError("cannot switch from manual field specification to automatic field numbering");
      this.#automatic ??= 0;
      key = String(this.#automatic++);
    } else if (/^\d+$/.test(name)) {
      if (typeof this.#automatic === "number") {
        throw valueError("cannot switch from manual field specification to automatic field numbering");
      }
      this.#automatic = null;
    }
    if (/^\d+$/.test(key)) {
      const value = this.#args[Number(key)];
      if (value === undefined)
        throw new JinjaError("IndexError", `Replacement index ${key} out of range for positional args tuple`);
      return value;
    }
    const value = this.#named(key);
    if (value === undefined) throw new JinjaError("KeyError", repr(key));
    return value;
  }
}

/** Where the field that begins at `from` ends: braces within are nested, those in an index are not. */
function fieldEnd(format: string, from: number): number {
  let depth = 1;
  for (let i = from; i < format.length; i++) {
    const char = format[i];
    if (char === "[" && depth === 1 && !/[!:]/.test(format.slice(from, i))) {
      const close = format.indexOf("]", i);
      if (close !== -1) i = close;
    } else if (char === "{") depth++;
    else if (char === "}" && depth-- === 1) return i;
  }
  throw valueError("expected '}' before end of string");
}

function splitField(field: string): [name: string, conversion: string | undefined, spec: string] {
  let end = 0;
  while (end < field.length && field[end] !== "!" && field[end] !== ":") {
    if (field[end] === "{") throw valueError("unexpected '{' in field name");
    const close = field[end] === "[" ? field.indexOf("]", end) : -1;
    end = close === -1 ? end + 1 : close + 1;
  }
  const name = field.slice(0, end);
  if (field[end] !== "!") return [name, undefined, field.slice(end + 1)];
  const conversion = field[end + 1];
  if (conversion === undefined) throw valueError("end of string while looking for conversion specifier");
  const after = field.slice(end + 2);
  if (after !== "" && after[0] !== ":") throw valueError("expected ':' after conversion specifier");
  return [name, conversion, after.slice(1)];
}
