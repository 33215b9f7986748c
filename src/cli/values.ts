// Values of options: what they may be, said where they are not.
import { InvalidArgumentError } from "commander";

export function wholeNumber(from: number, to: number = Number.MAX_SAFE_INTEGER): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^-?\d+$/.test(text) && value >= from && value <= to) return value;
    const range = to === Number.MAX_SAFE_INTEGER && !(value > to) ? `of at least ${from}` : `from ${from} to ${to}`;
    throw new InvalidArgumentError(`Expected a whole number ${range}.`);
  };
}

/** @param above leaves `from` itself out. */
export function realNumber(from: number, to: number, above = false): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() !== "" && value >= from && value <= to && !(above && value === from)) return value;
    throw new InvalidArgumentError(
      `Expected a number ${above ? `above ${from}, at most ${to}` : `from ${from} to ${to}`}.`,
    );
  };
}

/** One of some words. */
export function choice(words: readonly string[]): (text: string) => string {
  return (text) => {
    if (words.includes(text)) return text;
    throw new InvalidArgumentError(`Expected ${words.join(" or ")}.`);
  };
}

/** "auto", "cpu", "cuda", "cuda:1". */
export function deviceName(text: string): string {
  if (text === "auto" || text === "cpu" || /^cuda(:\d{1,4})?$/.test(text)) return text;
  throw new InvalidArgumentError("Expected auto, cpu, cuda or cuda:<number>.");
}

/** "512M", "8G", "65536": bytes, with units of 1024. */
export function byteSize(from: number): (text: string) => number {
  return (text) => {
    const [, number, unit] = /^(\d+(?:\.\d+)?)([KMGT]?)(?:i?B)?$/i.exec(text) ?? [];
    const bytes = Math.floor(Number(number) * 1024 ** " KMGT".indexOf(unit?.toUpperCase() || " "));
    if (Number.isSafeInteger(bytes) && bytes >= from) return bytes;
    throw new InvalidArgumentError(`Expected a size of at least ${from} bytes, such as 512M or 8G.`);
  };
}

/** "90s", "30m", "2h": seconds. */
export function duration(text: string): number {
  const [, number, unit] = /^(\d+(?:\.\d+)?)([smh])$/.exec(text) ?? [];
  const seconds = Number(number) * { s: 1, m: 60, h: 3600 }[(unit ?? "s") as "s" | "m" | "h"];
  if (seconds > 0) return seconds;
  throw new InvalidArgumentError("Expected a time above 0, such as 90s, 30m or 2h.");
}

/** For options that may be given several times. */
export function collect(text: string, previous: string[] | undefined): string[] {
  if (text === "") throw new InvalidArgumentError("Expected a text that is not empty.");
  return [...(previous ?? []), text];
}

/** For options whose first value a second would silently replace. */
export function once(text: string, previous: string | undefined): string {
  if (previous !== undefined)
    throw new InvalidArgumentError(`It is given twice, first as ${JSON.stringify(previous)}.`);
  return text;
}

/** Ids or texts, several times. */
export function collectIds(text: string, previous: (number | string)[] | undefined): (number | string)[] {
  const [one] = collect(text, undefined);
  return [...(previous ?? []), /^\d+$/.test(one!) ? Number(one) : one!];
}

/** "<id or text>=<x>", several times; an id is a number. */
export function logitBias(
  text: string,
  previous: ReadonlyMap<number | string, number> | undefined,
): ReadonlyMap<number | string, number> {
  const [, key, value = ""] = /^(.+)=([^=]+)$/s.exec(text) ?? [];
  const bias = Number(value.replace(/^([+-]?)inf$/, "$1Infinity"));
  if (key === undefined || value.trim() === "" || Number.isNaN(bias)) {
    throw new InvalidArgumentError('Expected an id or a text, "=", and a number (or inf, -inf).');
  }
  return new Map([...(previous ?? []), [/^\d+$/.test(key) ? Number(key) : key, bias]]);
}

/** "<name>=<value>", several times. */
export function variable(text: string, previous: ReadonlyMap<string, string> | undefined): ReadonlyMap<string, string> {
  const [, name, value = ""] = /^([A-Za-z_]\w*)=(.*)$/s.exec(text) ?? [];
  if (name === undefined) throw new InvalidArgumentError('Expected a name, "=", and a value.');
  return new Map([...(previous ?? []), [name, value]]);
}
