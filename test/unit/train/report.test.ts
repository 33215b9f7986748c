// The page about a run: that it has what the log has, and needs nothing beside itself.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { trainingReport } from "#quipu/train/report.js";
import { temporaryFolder } from "../../checkpoint-writer.js";
import { EVENTS, OTHERS } from "./a-run.js";

const dir = temporaryFolder();
/** Elements of the page, as a parser of XML would have them: the page is written so that both agree. */
function elementsOf(page: string): Map<string, number> {
  const open: string[] = [];
  const counts = new Map<string, number>();
  for (const [, end, name, attributes] of page.matchAll(/<(\/?)([a-z0-9]+)([^>]*)>/g)) {
    if (end === "/") expect(open.pop()).toBe(name);
    else {
      counts.set(name!, (counts.get(name!) ?? 0) + 1);
      if (name !== "meta" && !attributes!.endsWith("/")) open.push(name!);
    }
  }
  expect(open).toEqual([]);
  return counts;
}

test("has curves, numbers and samples, and nothing of another address", async () => {
  const run = join(dir, "a & b");
  mkdirSync(run);
  writeFileSync(join(run, "log.jsonl"), [...EVENTS, ...OTHERS].map((event) => `${JSON.stringify(event)}\n`).join(""));
  const page = await trainingReport(run);
  expect(page.startsWith("<!doctype html>\n")).toBe(true);
  expect(page).not.toMatch(/https?:|<script|<link|\bsrc=|\bhref=|url\(|@import/);
  expect(Object.fromEntries(elementsOf(page.replace("<!doctype html>", "")))).toMatchObject({
    svg: 3,
    polyline: 5,
    pre: 1,
    table: 1,
  });
  expect(page).toContain("<h1>Training of a &#38; b</h1>");
  expect(page).toContain("<pre>A cat &#60;script&#62;alert(&#34;&#38;&#34;)&#60;/script&#62;\nsat.</pre>");
  expect(page).toContain("loss 1.1250, 0.7500 bits per byte");
  expect(page).toContain("<th>left out</th><td>1 steps</td>");
  // Every point lies in its picture, from the left to the right, and long runs are thinned out.
  const curves = [...page.matchAll(/points="([^"]+)"/g)].map(([, points]) =>
    points!.split(" ").map((point) => point.split(",").map(Number)),
  );
  for (const points of curves) {
    expect(points.length).toBeLessThan(1600);
    for (const [x, y] of points) {
      expect(x! >= 64 && x! <= 712 && y! >= 12 && y! <= 212).toBe(true);
    }
  }
  expect(curves[0]!.at(0)).toEqual([64, 12]);
  expect(curves[0]!.at(-1)![0]).toBe(712);
  expect(curves[2]).toHaveLength(2);
});

test("a run whose last numbers are none has a page", async () => {
  const run = join(dir, "none");
  mkdirSync(run);
  const events = [
    ...EVENTS.slice(0, 20),
    OTHERS[3],
    { ...EVENTS[20], loss: null, gradientNorm: null, skipped: true },
    { type: "evaluation", step: 21, loss: null, bitsPerByte: null },
  ];
  writeFileSync(join(run, "log.jsonl"), events.map((event) => `${JSON.stringify(event)}\n`).join(""));
  const page = await trainingReport(run);
  expect(page).toContain("<th>loss</th><td>no number</td>");
  expect(page).toContain("<th>held out</th><td>loss no number, no number bits per byte</td>");
  expect(page).not.toMatch(/NaN|null/);
});

test("a run of one step has a page; a folder without a log is refused", async () => {
  const run = join(dir, "one");
  mkdirSync(run);
  writeFileSync(join(run, "log.jsonl"), `${JSON.stringify(EVENTS[0])}\n`);
  const page = await trainingReport(run);
  elementsOf(page.replace("<!doctype html>", ""));
  expect(page).not.toContain("NaN");
  expect(page).toContain("<p>None.</p>");
  for (const none of [dir, join(dir, "absent")]) {
    await expect(trainingReport(none)).rejects.toMatchObject({
      code: "ERR_USAGE",
      message: expect.stringContaining("log.jsonl: no step of a training"),
    });
  }
});
