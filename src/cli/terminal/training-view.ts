// How a training goes, for people: on a terminal a line that is drawn over, with the loss as a curve; elsewhere a line for each hundredth
// of the run.
import type { TrainingStep } from "../../index.js";
import { widthOf } from "./columns.js";
import { formatBytes, formatTime } from "./tables.js";

const DRAW_MS = 100;
const CURVE = 24;
const BLOCKS = "▁▂▃▄▅▆▇█";
/** Of a run, between two lines where they stay. */
const SHARE = 0.01;

export class TrainingView {
  readonly #drawsOver = process.stderr.isTTY === true && process.env.TERM !== "dumb";
  readonly #quiet: boolean;
  readonly #losses: number[] = [];
  #drawn = false;
  #last = 0;
  #said = Number.NEGATIVE_INFINITY;
  #shareOfToken = 0;

  constructor({ quiet }: { quiet: boolean }) {
    this.#quiet = quiet;
  }

  /** @param flopsPerToken of products. @param peak operations a second that the machine can do. */
  measures(flopsPerToken: number, peak: number): void {
    this.#shareOfToken = flopsPerToken / peak;
  }

  step(event: TrainingStep): void {
    if (Number.isFinite(event.loss)) this.#losses.push(event.loss);
    if (this.#losses.length > 64 * CURVE) this.#losses.splice(0, 32 * CURVE);
    if (this.#quiet) return;
    if (event.skipped)
      this.print(`step ${event.step} was left out: norm of the gradient ${event.gradientNorm.toPrecision(4)}`);
    if (!this.#drawsOver) {
      if (event.progress - this.#said < SHARE && event.progress < 1) return;
      this.#said = event.progress;
      process.stderr.write(`${this.#line(event, "")}\n`);
      return;
    }
    const now = performance.now();
    if (now - this.#last < DRAW_MS) return;
    this.#last = now;
    this.#drawn = true;
    const width = Math.max(20, widthOf(process.stderr) - 1);
    process.stderr.write(`\r\x1b[K${this.#line(event, `${curve(this.#losses)} `).slice(0, width)}`);
  }

  /** A line that stays. */
  print(line: string): void {
    if (this.#quiet) return;
    this.erase();
    process.stderr.write(`${line}\n`);
  }

  erase(): void {
    if (this.#drawn) process.stderr.write("\r\x1b[K");
    this.#drawn = false;
  }

  #line({ step, loss, rate, gradientNorm, tokensPerSecond, progress, seconds }: TrainingStep, drawing: string): string {
    const left = progress < 1 ? `, ${formatTime((seconds / progress) * (1 - progress))} left` : "";
    const speed = Math.round(tokensPerSecond);
    const share = this.#shareOfToken === 0 ? "" : ` (${Math.round(100 * this.#shareOfToken * speed)} % of peak)`;
    return `step ${step}  ${Math.floor(100 * progress)} %  loss ${loss.toFixed(4)} ${drawing} rate ${rate.toExponential(2)}  norm ${gradientNorm.toPrecision(3)}  ${speed} tokens/s${share}  ${formatBytes(process.memoryUsage.rss())}${left}`;
  }
}

/** The losses as blocks, each the mean of a part of them. */
export function curve(losses: readonly number[]): string {
  const columns = Math.min(CURVE, losses.length);
  const means = Array.from({ length: columns }, (_, i) => {
    const part = losses.slice(
      Math.floor((i * losses.length) / columns),
      Math.floor(((i + 1) * losses.length) / columns),
    );
    return part.reduce((sum, loss) => sum + loss, 0) / part.length;
  });
  const [least, most] = [Math.min(...means), Math.max(...means)];
  return means
    .map((mean) => BLOCKS[most === least ? 0 : Math.round(((mean - least) / (most - least)) * (BLOCKS.length - 1))])
    .join("");
}
