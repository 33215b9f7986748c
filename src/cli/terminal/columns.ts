// Names and what is said of them, in as many columns as a terminal has.

/** Columns of what is no terminal, or does not tell: some say 0. */
const WIDTH = 80;

export function widthOf({ columns }: NodeJS.WriteStream): number {
  return columns || WIDTH;
}

/** Below so many columns what is said stands on lines of its own. */
const NARROW = 60;

/** A row a name, what is said of it wrapped beside it, or below it where the terminal is narrow. */
export function columnsOf(rows: readonly (readonly [name: string, about: string])[], width: number): string {
  const left = width < NARROW ? 2 : 2 + Math.max(...rows.map(([name]) => name.length));
  const lines = rows.flatMap(([name, about]) => {
    const wrapped = wrap(about, Math.max(width - left, 10)).map((line) => " ".repeat(left) + line);
    if (width < NARROW) return [name, ...wrapped];
    return [name.padEnd(left) + wrapped[0]!.slice(left), ...wrapped.slice(1)];
  });
  return lines.join("\n");
}

/** Lines of whole words; a word that is longer stands alone. */
function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const line = lines.at(-1);
    if (line !== undefined && line.length + 1 + word.length <= width) lines[lines.length - 1] = `${line} ${word}`;
    else lines.push(word);
  }
  return lines;
}
