// Renders templates with quipu's Jinja for test/reference/fuzz_jinja.py: a JSON line {template, context (JSON text)} in, a line
// {text} or {error: kind, message} out. Run `npm run build:ts` first.
import { createInterface } from "node:readline";
import { JinjaError, JinjaTemplate, parseJson } from "../../dist/jinja/template.js";

for await (const line of createInterface({ input: process.stdin })) {
  const { template, context } = JSON.parse(line);
  let result;
  try {
    result = { text: new JinjaTemplate(template).render(new Map(parseJson(context).entries())) };
  } catch (error) {
    if (!(error instanceof JinjaError)) result = { crash: `${error.stack}` };
    else result = { error: error.kind, message: error.message, line: error.line };
  }
  process.stdout.write(`${JSON.stringify(result)}\n`);
}
