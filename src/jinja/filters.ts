// The filters by name.

import { unsupported } from "./errors.js";
import { numberFilters } from "./filters-number.js";
import { sequenceFilters } from "./filters-sequence.js";
import { sortingFilters } from "./filters-sorting.js";
import { textFilters } from "./filters-text.js";
import type { Kwargs, Value } from "./values.js";

export type Filter = (value: Value, args: readonly Value[], kwargs: Kwargs) => Value;

export const filters: ReadonlyMap<string, Filter> = new Map([
  ...Object.entries(textFilters),
  ...Object.entries(numberFilters),
  ...Object.entries(sequenceFilters),
  ...Object.entries(sortingFilters),
  // What differs from run to run, or makes web pages.
  ...["random", "urlize", "pprint"].map((name): [string, Filter] => [
    name,
    () => {
      throw unsupported(`the filter ${name}`);
    },
  ]),
]);
