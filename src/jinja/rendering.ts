// The state of the rendering that runs: the text so far, and the line that is at work. A rendering is synchronous.
import { checkLength } from "./budget.js";
import { JinjaError } from "./errors.js";

let text = "";
let line = 1;

export function write(part: string): void {
  text += part;
  checkLength(text.length);
}

/** What `work` writes, as a text; undefined where it ends by leaving a loop, which drops it. */
export function capture<T>(work: () => T): { text: string; result: T } {
  const outer = text;
  text = "";
  try {
    const result = work();
    return { text, result };
  } finally {
    text = outer;
  }
}

export function atLine(number: number): void {
  line = number;
}

export function currentLine(): number {
  return line;
}

/** Runs a whole rendering, whose errors get the line that was at work. */
export function rendered(work: () => void): string {
  const outerLine = line;
  try {
    return capture(work).text;
  } catch (error) {
    if (error instanceof RangeError) throw new JinjaError("RecursionError", "the template nests too deep", line);
    if (error instanceof JinjaError) error.line ??= line;
    throw error;
  } finally {
    line = outerLine;
  }
}
