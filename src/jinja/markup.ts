// Strings that are safe HTML (markupsafe): what is joined with one is escaped first.
import { spendText } from "./budget.js";
import { str } from "./printing.js";
import { Markup, type Value } from "./values.js";

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  "'": "&#39;",
  '"': "&#34;",
};

export function escapeText(text: string): string {
  spendText(text.length * 2);
  return text.replace(/[&<>'"]/g, (char) => ENTITIES[char]!);
}

/** markupsafe.toMarkup(): a Markup stays as it is. */
export function toMarkup(value: Value): Markup {
  return value instanceof Markup ? value : new Markup(escapeText(str(value)));
}
