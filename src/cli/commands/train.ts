// quipu train: a model from tokens.
import {
  isQuipuError,
  measurePeak,
  QuipuError,
  type TrainingEvent,
  type TrainOptions,
  trainModel,
} from "../../index.js";
import type { Context } from "../context.js";
import { warningPrinter } from "../model-options.js";
import { write } from "../terminal/output.js";
import { formatBytes, formatCount, formatTime } from "../terminal/tables.js";
import { TrainingView } from "../terminal/training-view.js";

export interface TrainCommandOptions
  extends Omit<
    TrainOptions,
    "data" | "init" | "output" | "seconds" | "sequence" | "rate" | "muonRate" | "heldOut" | "signal"
  > {
  readonly data?: string;
  readonly init?: string;
  readonly out?: string;
  readonly time?: number;
  readonly seq?: number;
  readonly lr?: number;
  readonly muonLr?: number;
  readonly heldOut?: string;
  readonly json?: boolean;
  readonly quiet?: boolean;
}

export async function train(options: TrainCommandOptions, context: Context): Promise<void> {
  const { data, init, out, time, seq, lr, muonLr, json = false, quiet = false, ...rest } = options;
  for (const [name, value] of Object.entries({ data, init, out })) {
    if (value === undefined) throw new QuipuError("ERR_USAGE", `--${name}: expected ${EXPECTED[name]}`);
  }
  // The first signal has the step ended and saved, however long that takes; a second one ends the process.
  const ending = new AbortController();
  const view = new TrainingView({ quiet });
  const onSignal = () => {
    release();
    view.print("quipu: ends after this step and saves; Ctrl-C again ends at once");
    ending.abort();
  };
  const release = context.divertInterrupt(onSignal, ["SIGINT", "SIGTERM"]);
  let isSaved = false;
  try {
    const events = trainModel(
      {
        ...rest,
        ...{ data: data!, init: init!, output: out!, seconds: time, sequence: seq, rate: lr, muonRate: muonLr },
        signal: ending.signal,
      },
      warningPrinter({ quiet }),
    );
    for await (const event of events) {
      isSaved ||= event.type === "checkpoint" || (event.type === "start" && event.step > 0);
      if (json) await write(`${JSON.stringify(event)}\n`);
      else await show(event, view, quiet);
    }
  } catch (error) {
    view.erase();
    if (isQuipuError(error) && error.code === "ERR_ABORTED" && isSaved && !quiet) {
      process.stderr.write(`quipu: saved in ${out}: the same command with --resume goes on from there\n`);
    }
    throw error;
  } finally {
    release();
    view.erase();
  }
}

const EXPECTED: Readonly<Record<string, string>> = {
  data: "a file of tokens, as quipu data pack makes them",
  init: "a preset, a config.json, or a checkpoint folder to go on from",
  out: "a folder for checkpoints, the log and the model",
};

async function show(event: TrainingEvent, view: TrainingView, quiet: boolean): Promise<void> {
  switch (event.type) {
    case "start": {
      const { parameters, state, arena, documents, tokens, step, flopsPerToken, target, threads } = event;
      if (!quiet) view.measures(flopsPerToken, await measurePeak(target, threads));
      const from = step === 0 ? "" : `, from step ${step}`;
      return view.print(
        `${formatCount(parameters)} parameters, ${documents} documents of ${tokens} tokens; memory ${formatBytes(state)} + ${formatBytes(arena)}${from}`,
      );
    }
    case "step":
      return view.step(event);
    case "evaluation":
      return view.print(
        `step ${event.step}  ${event.averaged ? "averaged, " : ""}held out: loss ${event.loss.toFixed(4)}, ${event.bitsPerByte.toFixed(4)} bits per byte`,
      );
    case "checkpoint":
      return view.print(`step ${event.step}  saved ${event.path}`);
    case "sample":
      return view.print(`step ${event.step}  sample: ${event.text.replaceAll("\n", "\n  ")}`);
    case "end": {
      view.erase();
      const { steps, tokens, seconds, longDocuments, model } = event;
      const split = longDocuments === 0 ? "" : `, ${longDocuments} documents split`;
      if (!quiet)
        await write(`trained  ${steps} steps, ${tokens} tokens in ${formatTime(seconds)}${split}\nwritten  ${model}\n`);
    }
  }
}
