// The filters and the tests by name.
import type { Filter, Test } from "./arguments.js";
import { unsupported } from "./errors.js";
import { numberFilters } from "./filters-number.js";
import { selectingFilters } from "./filters-selecting.js";
import { sequenceFilters } from "./filters-sequence.js";
import { sortingFilters } from "./filters-sorting.js";
import { textFilters } from "./filters-text.js";
import { namingTests, plainTests } from "./tests.js";

// Some look others up by name: they are given the tables that they stand in.
const named = { filters: new Map<string, Filter>(), tests: new Map<string, Test>(plainTests) };
for (const [name, test] of Object.entries(namingTests(named))) named.tests.set(name, test);
for (const table of [textFilters, numberFilters, sequenceFilters, sortingFilters, selectingFilters(named)]) {
  for (const [name, filter] of Object.entries(table)) named.filters.set(name, filter);
}
// What differs from run to run, or makes web pages.
for (const name of ["random", "urlize", "pprint"]) {
  named.filters.set(name, () => {
    throw unsupported(`the filter ${name}`);
  });
}

export const filters: ReadonlyMap<string, Filter> = named.filters;
export const tests: ReadonlyMap<string, Test> = named.tests;
