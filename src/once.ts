/** What is made when it is first asked for: tables and patterns that most runs never use would keep the first word waiting. */
export function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}
