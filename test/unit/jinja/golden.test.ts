// Every template of test/reference/jinja.golden.json: the text that Jinja2 makes, or its error with its line.
import { readFileSync } from "node:fs";
import { JinjaError, JinjaTemplate, parseJson } from "#quipu/jinja/template.js";
import type { PyDict } from "#quipu/jinja/values.js";

type Row = [template: string, text: string | null, kind?: string, line?: number | null];

const golden: { context: string; themes: Record<string, Row[]> } = JSON.parse(
  readFileSync("test/reference/jinja.golden.json", "utf8"),
);

/** What we refuse by name, where Jinja2 prints something. */
const REFUSED: Record<string, string[]> = {
  blocks: ["the name x, whose loop has ended"],
  json: ["an infinite or undefined constant"],
};

/** Errors that Python finds when it compiles the Python that Jinja2 wrote, and ours that name what they refuse. */
const OTHER_KINDS: Record<string, string> = { SyntaxError: "TemplateSyntaxError" };

function outcome(template: string): { text: string } | { kind: string; line: number | undefined; message: string } {
  const context = (parseJson(golden.context) as PyDict).entries();
  try {
    return { text: new JinjaTemplate(template).render(new Map(context as Iterable<[string, unknown]>)) };
  } catch (error) {
    if (!(error instanceof JinjaError)) throw error;
    return { kind: error.kind, line: error.line, message: error.message };
  }
}

describe.each(Object.entries(golden.themes))("%s", (theme, rows) => {
  test("renders what Jinja2 renders", () => {
    const refused: string[] = [];
    for (const [template, text] of rows.filter((row) => row[1] !== null)) {
      const ours = outcome(template);
      if ("kind" in ours && ours.kind === "Unsupported") refused.push(ours.message);
      else expect({ template, ...ours }).toEqual({ template, text });
    }
    expect(refused).toEqual(REFUSED[theme] ?? []);
  });

  test("raises where Jinja2 raises", () => {
    for (const [template, , kind, line] of rows.filter((row) => row[1] === null)) {
      const ours = outcome(template);
      expect({ template, ours }).toEqual({ template, ours: expect.objectContaining({ kind: expect.any(String) }) });
      if (theme === "generated" || !("kind" in ours) || ours.kind === "Unsupported") continue;
      const expected = OTHER_KINDS[kind!] ?? kind;
      expect({ template, kind: ours.kind }).toEqual({ template, kind: expected });
      if (line !== null && kind !== "SyntaxError") expect({ template, line: ours.line }).toEqual({ template, line });
    }
  });
});
