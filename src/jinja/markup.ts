// Strings that are safe HTML (markupsafe): what is joined with one is escaped first.
import { spend, spendText } from "./budget.js";
import { str } from "./printing.js";
import { plain } from "./twins.js";
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
  const entity = (char: string) => {
    spend(4);
    return ENTITIES[char]!;
  };
  if (plain(text) === text) return text.replace(/[&<>'"]/g, entity);
  spend(text.length);
  return Array.from(text, (char) => ENTITIES[plain(char)] ?? char).join("");
}

/** markupsafe.toMarkup(): a Markup stays as it is. */
export function toMarkup(value: Value): Markup {
  return value instanceof Markup ? value : new Markup(escapeText(str(value)));
}
