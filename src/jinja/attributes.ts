// `object.name` and `object[key]` in the immutable sandbox: attributes, items, and what is not there or not allowed.

import { spend } from "./budget.js";
import { containerAttribute } from "./container-methods.js";
import { JinjaError } from "./errors.js";
import { formatMethod, type Lookup } from "./format-method.js";
import { indexOf } from "./iteration.js";
import { repr } from "./printing.js";
import { stringMethod } from "./string-methods.js";
import { characterAt } from "./text.js";
import {
  describeOwner,
  Group,
  isList,
  Markup,
  PyDict,
  PyInstance,
  PyRange,
  PyTuple,
  refuseUndefined,
  textOf,
  typeName,
  Undefined,
  type Value,
} from "./values.js";

const MUTATORS: Readonly<Record<string, ReadonlySet<string>>> = {
  __proto__: null as never,
  list: new Set(["append", "clear", "pop", "reverse", "insert", "sort", "extend", "remove"]),
  dict: new Set(["clear", "pop", "popitem", "setdefault", "update"]),
};

/** Names that every Python object has: Jinja2 finds them before an item of that name, and refuses them. */
const OBJECT_ATTRIBUTES = new Set(
  (
    "__class__ __delattr__ __dir__ __doc__ __eq__ __format__ __ge__ __getattribute__ __getstate__ __gt__ __hash__ __init__ " +
    "__init_subclass__ __le__ __lt__ __ne__ __new__ __reduce__ __reduce_ex__ __repr__ __setattr__ __sizeof__ __str__ __subclasshook__"
  ).split(" "),
);

/** And those of undefined values, whose other attributes are errors. */
const UNDEFINED_ATTRIBUTES = new Set(
  (
    "__add__ __radd__ __sub__ __rsub__ __mul__ __rmul__ __div__ __rdiv__ __truediv__ __rtruediv__ __floordiv__ __rfloordiv__ __mod__ " +
    "__rmod__ __pos__ __neg__ __call__ __getitem__ __getattr__ __int__ __float__ __complex__ __pow__ __rpow__ __len__ __iter__ __aiter__ " +
    "__bool__ __slots__ __module__"
  ).split(" "),
);

const CONTAINER_ATTRIBUTES = new Set("__contains__ __getitem__ __iter__ __len__".split(" "));

/** `object.name`: the attribute before the item. */
export function getAttribute(object: Value, name: string): Value {
  if (object instanceof Undefined && (OBJECT_ATTRIBUTES.has(name) || UNDEFINED_ATTRIBUTES.has(name)))
    return unsafe(object, name);
  refuseUndefined(object);
  const own = attribute(object, name);
  if (own !== undefined) return own;
  const found = item(object, name);
  return found === undefined ? missing(object, name) : found;
}

/** `object[key]`: the item before the attribute. */
export function getItem(object: Value, key: Value): Value {
  refuseUndefined(object);
  const found = item(object, key);
  if (found !== undefined) return found;
  const name = textOf(key);
  const own = name === undefined ? undefined : attribute(object, name);
  return own === undefined ? missing(object, key) : own;
}

/** What the attr filter finds: the attribute only. */
export function getAttributeOnly(object: Value, name: string): Value {
  if (object instanceof Undefined) return getAttribute(object, name);
  const own = attribute(object, name);
  return own === undefined ? missing(object, name) : own;
}

function missing(object: Value, key: Value): Undefined {
  spend(4);
  const name = textOf(key);
  const owner = describeOwner(object);
  return new Undefined(
    name === undefined ? `${owner} has no element ${repr(key)}` : `${repr(owner)} has no attribute ${repr(name)}`,
  );
}

function unsafe(object: Value, name: string): Undefined {
  return new Undefined(`access to attribute ${repr(name)} of '${typeName(object)}' object is unsafe.`, "SecurityError");
}

/** The item of a container; undefined where Python raises a LookupError or a TypeError. */
function item(object: Value, key: Value): Value | undefined {
  if (object instanceof PyDict) {
    try {
      return object.get(key);
    } catch (error) {
      // A list is no key.
      if (error instanceof JinjaError && error.kind === "TypeError") return undefined;
      throw error;
    }
  }
  const index = indexOf(key);
  if (index === undefined) return undefined;
  if (isList(object)) return object.at(index);
  if (object instanceof PyTuple) return object.items.at(index);
  if (typeof object === "string") return characterAt(object, index);
  if (object instanceof Markup) {
    const char = characterAt(object.text, index);
    return char === undefined ? undefined : new Markup(char);
  }
  if (object instanceof PyRange) {
    const from0 = index < 0 ? index + object.length : index;
    return from0 >= 0 && from0 < object.length ? object.at(from0) : undefined;
  }
  return undefined;
}

const LOOKUP: Lookup = { attribute: getAttribute, item: getItem };

function attribute(object: Value, name: string): Value | undefined {
  if (name.startsWith("_")) {
    const known = OBJECT_ATTRIBUTES.has(name) || (CONTAINER_ATTRIBUTES.has(name) && typeof object === "object");
    return known && !(object instanceof PyInstance) ? unsafe(object, name) : undefined;
  }
  if (object instanceof PyInstance) return object.attribute(name);
  const text = textOf(object);
  if (text !== undefined) {
    const self = object as string | Markup;
    return formatMethod(self, name, LOOKUP) ?? stringMethod(self, text, name);
  }
  if (MUTATORS[typeName(object)]?.has(name)) return unsafe(object, name);
  if (object instanceof Group && (name === "grouper" || name === "list"))
    return object.items[name === "grouper" ? 0 : 1];
  return containerAttribute(object, name);
}
