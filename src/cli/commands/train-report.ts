// quipu train report: a page about a run.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { trainingReport } from "../../index.js";
import { write } from "../terminal/output.js";

export async function trainReport(dir: string, { output }: { readonly output?: string }): Promise<void> {
  const path = output ?? join(dir, "report.html");
  await writeFile(path, await trainingReport(dir));
  await write(`${path}\n`);
}
