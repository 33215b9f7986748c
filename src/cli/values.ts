// Values of options: what they may be, said where they are not.
import { InvalidArgumentError } from "commander";

export function wholeNumber(from: number, to: number = Number.MAX_SAFE_INTEGER): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^-?\d+$/.test(text) && value >= from && value <= to) return value;
    const range = to === Number.MAX_SAFE_INTEGER ? `of at least ${from}` : `from ${from} to ${to}`;
    throw new InvalidArgumentError(`Expected a whole number ${range}.`);
  };
}

export function realNumber(from: number, to: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() !== "" && value >= from && value <= to) return value;
    throw new InvalidArgumentError(`Expected a number from ${from} to ${to}.`);
  };
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

/** For options that may be given several times. */
export function collect(text: string, previous: string[] | undefined): string[] {
  return [...(previous ?? []), text];
}

/** "<id or text>=<x>", several times; an id is a number. */
export function logitBias(
  text: string,
  previous: ReadonlyMap<number | string, number> | undefined,
): ReadonlyMap<number | string, number> {
  const [, key, value] = /^(.+)=([^=]+)$/s.exec(text) ?? [];
  const bias = Number(value === "-inf" ? Number.NEGATIVE_INFINITY : value === "inf" ? Number.POSITIVE_INFINITY : value);
  if (key === undefined || Number.isNaN(bias)) {
    throw new InvalidArgumentError('Expected an id or a text, "=", and a number (or inf, -inf).');
  }
  return new Map([...(previous ?? []), [/^\d+$/.test(key) ? Number(key) : key, bias]]);
}
