// The page of `quipu train report` in a browser that has no network: Debian's chromium, or the one that QUIPU_CHROMIUM names.
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { type Browser, chromium } from "playwright-core";
import { temporaryFolder } from "../checkpoint-writer.js";
import { EVENTS, OTHERS } from "../unit/train/a-run.js";
import { describeWhere } from "../where.js";
import { quipu } from "./run-cli.js";

const executablePath = process.env.QUIPU_CHROMIUM ?? "/usr/bin/chromium";
const dir = temporaryFolder();

describeWhere(existsSync(executablePath), `a report in a browser: there is no ${executablePath}`)("a report", () => {
  const run = join(dir, "a run");
  let browser: Browser;
  beforeAll(async () => {
    mkdirSync(run);
    writeFileSync(join(run, "log.jsonl"), [...EVENTS, ...OTHERS].map((event) => `${JSON.stringify(event)}\n`).join(""));
    const { status } = await quipu(["train", "report", run]);
    expect(status).toBe(0);
    // Chromium's sandbox refuses root, which CI is.
    browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
  }, 60_000);
  afterAll(() => browser?.close());

  test.each([1280, 400])("opens with %i pixels, by itself, and shows its curves and samples", async (width) => {
    const context = await browser.newContext({ viewport: { width, height: 900 }, offline: true });
    const page = await context.newPage();
    const [requests, problems]: [string[], string[]] = [[], []];
    page.on("request", (request) => requests.push(request.url()));
    page.on("console", (message) => problems.push(message.text()));
    page.on("pageerror", (error) => problems.push(error.message));
    page.on("dialog", (dialog) => {
      problems.push(dialog.message()); // a sample's <script> is text
      void dialog.dismiss();
    });
    const url = pathToFileURL(join(run, "report.html")).href;
    await page.goto(url);
    expect([requests, problems]).toEqual([[url], []]);
    expect(await page.title()).toBe("Training of a run");
    expect(await page.locator("h2").allTextContents()).toEqual([
      ...["Loss", "Learning rate", "Norm of the gradient"],
      "Samples",
    ]);
    expect(await page.locator("pre").allTextContents()).toEqual(['A cat <script>alert("&")</script>\nsat.']);
    const pictures = await page.locator("svg").all();
    expect(pictures).toHaveLength(3);
    for (const picture of pictures) {
      const frame = (await picture.boundingBox())!;
      expect(frame.width).toBeGreaterThan(Math.min(width, 760) * 0.8);
      for (const curve of await picture.locator("polyline").all()) {
        const box = (await curve.boundingBox())!;
        expect(box.x).toBeGreaterThanOrEqual(frame.x);
        expect(box.x + box.width).toBeLessThanOrEqual(frame.x + frame.width);
        expect(box.width).toBeGreaterThan(frame.width / 3);
        expect(box.height).toBeGreaterThan(1);
      }
    }
    // Nothing is wider than the window.
    expect(await page.evaluate("document.documentElement.scrollWidth - window.innerWidth")).toBeLessThanOrEqual(0);
    await context.close();
  });
});
