// The `attribute` argument of filters: names and numbers with dots between, and several with commas for sort.
import { getItem } from "./attributes.js";
import { spend } from "./budget.js";
import { isdigit } from "./unicode.js";
import { textOf, Undefined, type Value } from "./values.js";

export type Getter = (item: Value) => Value;

/** `missing` stands for what is undefined on the way; `finish` is applied to what was found. */
export function attributeGetter(attribute: Value | undefined, missing?: Value, finish?: Getter): Getter {
  const parts = attributeParts(attribute);
  return (item) => {
    spend(parts.length);
    let value = item;
    for (const part of parts) {
      value = getItem(value, part);
      if (missing !== undefined && missing !== null && value instanceof Undefined) value = missing;
    }
    return finish === undefined ? value : finish(value);
  };
}

/** One value for each of the attributes between commas. */
export function attributesGetter(attribute: Value | undefined, finish?: Getter): (item: Value) => readonly Value[] {
  const text = attribute === undefined ? undefined : textOf(attribute);
  const getters = (text === undefined ? [attribute] : text.split(",")).map((one) =>
    attributeGetter(one, undefined, finish),
  );
  return (item) => getters.map((get) => get(item));
}

function attributeParts(attribute: Value | undefined): readonly Value[] {
  if (attribute === undefined || attribute === null) return [];
  const text = textOf(attribute);
  if (text === undefined) return [attribute];
  return text.split(".").map((part) => (isdigit(part) && /^\d+$/.test(part) ? Number(part) : part));
}
