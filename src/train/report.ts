// A page about a run, from its log: one file that needs no network and no script.
import { basename, join } from "node:path";
import { pathOf } from "../arguments.js";
import { QuipuError } from "../errors.js";
import type { TrainingEvaluation, TrainingSample, TrainingStep } from "./events.js";
import { readLog } from "./log.js";

interface Line {
  readonly name: string;
  readonly colour: string;
  readonly points: readonly (readonly [x: number, y: number])[];
}

const [WIDTH, HEIGHT, LEFT, BOTTOM, TOP] = [720, 240, 64, 28, 12];
/** Points of a line: more are not seen. */
const MOST_POINTS = 1500;

/** The page of the run in a folder. @throws {QuipuError} ERR_USAGE where there is no log of one. */
export async function trainingReport(folder: string | URL): Promise<string> {
  const dir = pathOf("folder", folder);
  const path = join(dir, "log.jsonl");
  const events = await readLog(path).catch((cause: Error) => {
    throw new QuipuError("ERR_USAGE", `${path}: cannot be read: ${cause.message}`, { cause });
  });
  const steps = events.filter((event): event is TrainingStep => event.type === "step");
  const evaluations = events.filter((event): event is TrainingEvaluation => event.type === "evaluation");
  const samples = events.filter((event): event is TrainingSample => event.type === "sample");
  const last = steps.at(-1);
  if (last === undefined)
    throw new QuipuError("ERR_USAGE", `${path}: no step of a training: expected the folder of one`);
  const measured = evaluations.at(-1);
  const kept = steps.filter(({ loss, gradientNorm }) => Number.isFinite(loss) && Number.isFinite(gradientNorm));
  const line = (name: string, colour: string, of: (step: TrainingStep) => number): Line => ({
    ...{ name, colour },
    points: kept.map((step) => [step.step, of(step)] as const),
  });
  const held: Line = {
    name: "held out",
    colour: "#c2410c",
    points: evaluations.filter(({ loss }) => Number.isFinite(loss)).map(({ step, loss }) => [step, loss] as const),
  };
  const facts: [string, string][] = [
    ["steps", String(last.step)],
    ["tokens", `${last.tokens}, ${last.epochs.toFixed(2)} passes over the data`],
    ["time", `${(last.seconds / 60).toFixed(1)} min, ${Math.round(last.tokens / last.seconds)} tokens a second`],
    ["loss", decimals(last.loss)],
    ...(measured === undefined
      ? []
      : ([["held out", `loss ${decimals(measured.loss)}, ${decimals(measured.bitsPerByte)} bits per byte`]] as [
          string,
          string,
        ][])),
    ["left out", `${steps.filter(({ skipped }) => skipped).length} steps`],
  ];
  const title = `Training of ${basename(dir)}`;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${escaped(title)}</title>
<style>
body { font: 15px/1.5 system-ui, sans-serif; max-width: 760px; margin: 2em auto; padding: 0 1em; color: #1c1917; background: #fff }
td, th { text-align: left; padding: 0 1.5em 0 0; font-weight: normal } th { color: #57534e }
svg { width: 100%; height: auto } pre { white-space: pre-wrap; background: #f5f5f4; padding: .8em }
</style>
</head>
<body>
<h1>${escaped(title)}</h1>
<table>${facts.map(([name, value]) => `<tr><th>${name}</th><td>${escaped(value)}</td></tr>`).join("")}</table>
${chart("Loss", [line("of each step", "#a8a29e", ({ loss }) => loss), smoothed(line("smoothed", "#1d4ed8", ({ loss }) => loss)), held])}
${chart("Learning rate", [line("rate", "#1d4ed8", ({ rate }) => rate)])}
${chart("Norm of the gradient", [line("norm", "#1d4ed8", ({ gradientNorm }) => gradientNorm)])}
<h2>Samples</h2>
${samples.map(({ step, text }) => `<h3>Step ${step}</h3>\n<pre>${escaped(text)}</pre>`).join("\n") || "<p>None.</p>"}
</body>
</html>
`;
}

function chart(title: string, lines: readonly Line[]): string {
  const points = lines.flatMap((line) => line.points);
  const range = (axis: 0 | 1): [number, number] => {
    let [least, most] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
    for (const point of points) {
      least = Math.min(least, point[axis]);
      most = Math.max(most, point[axis]);
    }
    return least < most ? [least, most] : [least, least + (Math.abs(least) || 1)];
  };
  const [[x0, x1], [y0, y1]] = [range(0), range(1)];
  const x = (value: number) => LEFT + ((value - x0) / (x1 - x0)) * (WIDTH - LEFT - 8);
  const y = (value: number) => HEIGHT - BOTTOM - ((value - y0) / (y1 - y0)) * (HEIGHT - BOTTOM - TOP);
  const ticks = [0, 0.25, 0.5, 0.75, 1];
  const rules = ticks.map((share) => {
    const value = y0 + share * (y1 - y0);
    const at = y(value).toFixed(1);
    return `<line x1="${LEFT}" x2="${WIDTH - 8}" y1="${at}" y2="${at}" stroke="#e7e5e4"/><text x="${LEFT - 6}" y="${at}" text-anchor="end" dominant-baseline="middle">${+value.toPrecision(3)}</text>`;
  });
  const steps = ticks.map((share) => {
    const value = Math.round(x0 + share * (x1 - x0));
    const anchor = share === 1 ? "end" : "middle"; // the last one would leave the picture
    return `<text x="${x(value).toFixed(1)}" y="${HEIGHT - 8}" text-anchor="${anchor}">${value}</text>`;
  });
  const drawn = lines
    .filter((line) => line.points.length > 0)
    .map(({ colour, points: all }) => {
      const path = thinned(all).map(([step, value]) => `${x(step).toFixed(1)},${y(value).toFixed(1)}`);
      return `<polyline fill="none" stroke="${colour}" stroke-width="1.5" points="${path.join(" ")}"/>`;
    });
  const legend = lines
    .filter((line) => line.points.length > 0)
    .map(({ name, colour }) => `<span style="color:${colour}">━</span> ${name}`)
    .join(" &nbsp; ");
  return `<h2>${title}</h2>
<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${title} by step" font-family="system-ui, sans-serif" font-size="11" fill="#57534e">${rules.join("")}${steps.join("")}${drawn.join("")}</svg>
<p>${legend}</p>`;
}

/** Each value a mean of those of late. */
function smoothed({ points, ...line }: Line): Line {
  const weight = Math.min(1, 20 / Math.max(1, points.length));
  let mean = 0;
  return {
    ...line,
    points: points.map(([step, value], i) => {
      mean += Math.max(weight, 1 / (i + 1)) * (value - mean);
      return [step, mean] as const;
    }),
  };
}

function thinned<T>(points: readonly T[]): readonly T[] {
  const every = Math.ceil(points.length / MOST_POINTS);
  return every <= 1 ? points : points.filter((_, i) => i % every === 0 || i === points.length - 1);
}

/** JSON has null for what is no number. */
function decimals(value: number | null): string {
  return value === null ? "no number" : value.toFixed(4);
}

function escaped(text: string): string {
  return text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
}
