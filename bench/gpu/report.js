// What a check of a GPU has found, as JSON and as Markdown.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { markdown } from "../measure.js";

/** Writes the report as far as it is. */
export function write(folder, report) {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "gpu-check.json"), `${JSON.stringify(report, undefined, 2)}\n`);
  writeFileSync(join(folder, "gpu-check.md"), markdownOf(report));
}

export function markdownOf({ parts, ...about }, withHead = true) {
  return `${withHead ? headOf(about) : ""}${parts.map(partOf).join("")}`;
}

function headOf({ quipu, device, gpu, cpu, cores, node, when }) {
  const memory = `${(gpu.bytes / 2 ** 30).toFixed(1)} GiB`;
  return [
    `# ${device}: ${gpu.name}\n\n`,
    `Compute capability ${gpu.capability}, ${memory}, a driver for CUDA ${gpu.driver}, a build by ${gpu.build}; ${cpu}, ${cores} cores; Node ${node}; `,
    `quipu ${quipu}; ${when}.\n`,
    device === "simt" ? "\nThis is the emulator: nothing here ran on a GPU, and its times say nothing.\n" : "",
  ].join("");
}

const verdict = ({ ok }) => (ok ? "yes" : "**no**");
const rate = (perSecond) => (perSecond >= 100 ? perSecond.toFixed(0) : perSecond.toPrecision(3));
const TABLES = {
  models: {
    header: ["model", "weights", "beside", "is", "bound", "right"],
    row: ({ what, weights, beside, is, bound, ok }) => [
      what,
      weights,
      beside,
      numberOf(is),
      numberOf(bound),
      verdict({ ok }),
    ],
  },
  kernels: { header: ["tests", "right"], row: ({ suite, ok }) => [suite, verdict({ ok })] },
  sanitizer: { header: ["tool", "says", "right"], row: ({ tool, says, ok }) => [tool, says, verdict({ ok })] },
  speed: {
    header: ["shape, weights", "GB a token", "GB/s", "tokens/s, by sequences", "prompt, tokens/s"],
    row: ({ shape, weights, bytesPerToken, decode, prompt, promptTokens }) => [
      `${shape}, ${weights}`,
      (bytesPerToken / 1e9).toPrecision(3),
      rate((bytesPerToken * decode[1]) / 1e9),
      Object.entries(decode)
        .map(([count, perSecond]) => `${count}: ${rate(perSecond)}`)
        .join(", "),
      `${promptTokens}: ${rate(prompt)}`,
    ],
  },
};

/** A share of the greatest logit, or a count of ids. */
function numberOf(value) {
  return Number.isInteger(value) && value > 0 ? `${value}` : Number(value).toExponential(1);
}

function partOf({ name, title, seconds, summary, rows, notRun, problems }) {
  const { header, row } = TABLES[name];
  return [
    `\n## ${title}\n\n${Math.ceil(seconds ?? 0)} s${summary === undefined ? "" : `; ${summary}`}.\n`,
    ...(rows.length > 0 ? [`\n${markdown(header, rows.map(row))}`] : []),
    ...notRun.map((what) => `\nNot run: ${what}.\n`),
    ...problems.map((what) => `\n**Wrong:** ${what}\n`),
  ].join("");
}
