// The commands of `quipu train`.
import { type Command, Option } from "commander";
import type { QuipuCommand } from "./command.js";
import type { Context } from "./context.js";
import { THREADS } from "./options.js";
import { choice, duration, realNumber, wholeNumber } from "./values.js";

const option = (flags: string, description: string) => new Option(flags, description);
const whole = (flags: string, description: string, from = 1) => option(flags, description).argParser(wholeNumber(from));
const real = (flags: string, description: string, from: number, to: number, above = false) =>
  option(flags, description).argParser(realNumber(from, to, above));

const HELP_AFTER = `
Presets: storyteller-260k, storyteller-2m, storyteller-15m, llama-3.2-1b-shape.
  quipu data pack --tokenizer tok stories.jsonl --hold-out 0.01
  quipu train --data corpus.tokens --tokenizer tok --init storyteller-2m \\
    --tokens 20000000 --out run
  quipu -m run/model "Once upon a time"
Ctrl-C or SIGTERM ends after the step at hand, saves, and exits with 130 or 143.`;

/** Puts them below `train`. */
export function addTrainCommand(train: Command, context: Context): void {
  train
    .usage("[options]\n       quipu train report <dir>")
    .helpCommand(false)
    .enablePositionalOptions()
    .allowExcessArguments()
    .optionsGroup("What:")
    .option("--data <file>", "tokens to train on, as 'quipu data pack' makes them")
    .option("--held-out <file>", "tokens to measure on (default: the .held-out file beside --data)")
    .option("--tokenizer <path>", "the tokenizer of the data (default: that of the checkpoint in --init)")
    .option("--init <what>", "a preset, a config.json, or a checkpoint folder to go on from")
    .option("--out <dir>", "folder for checkpoints, log.jsonl and the model")
    .option("--resume", "go on from the last checkpoint in --out, bit by bit as if nothing had been")
    .optionsGroup("How long, one of:")
    .addOption(whole("--steps <n>", "steps"))
    .addOption(whole("--tokens <n>", "tokens"))
    .addOption(option("--time <t>", "time, as 90s, 30m or 2h").argParser(duration))
    .optionsGroup("How:")
    .addOption(whole("--batch <n>", "tokens of a step (default: 8192)", 2))
    .addOption(whole("--micro-batch <n>", "tokens computed at once (default: --batch, at most 4096)", 2))
    .addOption(whole("--seq <n>", "longest document; longer ones are split (default: 256, at most --micro-batch)", 2))
    .addOption(real("--ramp <share>", "share of the run in which the tokens of a step grow (default: 0)", 0, 1))
    .addOption(real("--lr <x>", "peak of the learning rate (default: the preset's, else 3e-4)", 0, 10, true))
    .addOption(
      option(
        "--optimizer <name>",
        "adamw; muon: Muon for the matrices of the layers, AdamW for the rest (default: adamw)",
      ).argParser(choice(["adamw", "muon"])),
    )
    .addOption(real("--muon-lr <x>", "peak of Muon's rate; --lr is AdamW's (default: 0.02)", 0, 10, true))
    .addOption(
      option(
        "--schedule <name>",
        "cosine: to a tenth; linear: at the peak, then to zero over the cool-down (default: cosine)",
      ).argParser(choice(["cosine", "linear"])),
    )
    .addOption(real("--warm-up <share>", "share of the run in which the rate rises (default: 0.02)", 0, 1))
    .addOption(real("--cool-down <share>", "of linear: share in which it falls (default: 0.4)", 0, 1, true))
    .addOption(real("--weight-decay <x>", "of matrices (default: 0.1)", 0, 10))
    .addOption(
      real(
        "--average <share>",
        "of the run, at its end, over which the model's weights are averaged (default: 0)",
        0,
        1,
      ),
    )
    .addOption(real("--clip <x>", "greatest norm of the gradient (default: 1)", 0, 1e9, true))
    .addOption(whole("--seed <n>", "of the first weights and the order of documents (default: 1)", 0))
    .option("--recompute", "less memory for a third more work")
    .addOption(THREADS())
    .optionsGroup("On the way:")
    .addOption(
      whole(
        "--evaluate-every <n>",
        "steps between evaluations (default: a twentieth of the run, at least 10; with --time 100)",
      ),
    )
    .addOption(whole("--evaluate-tokens <n>", "held-out tokens to measure on (default: 100000)"))
    .addOption(whole("--save-every <n>", "steps between checkpoints (default: --evaluate-every)"))
    .addOption(whole("--keep <n>", "checkpoints that are kept (default: 2)"))
    .option("--json", "JSON Lines: an event for everything that happens")
    .option("--quiet", "print nothing but errors")
    .addHelpText("after", HELP_AFTER)
    .action(async (_options, command: QuipuCommand) => {
      if (command.args.length > 0) command.unknownCommand();
      const { train: run } = await import("./commands/train.js");
      await run(command.allOptions(), context);
    });
  train
    .command("report")
    .description("writes a page about a run: loss, learning rate, gradient, samples; one file that needs no network")
    .argument("<dir>", "the folder of the run")
    .option("-o, --output <file>", "where to (default: report.html in the folder)")
    .action(async (dir: string, _options, command: QuipuCommand) => {
      const { trainReport } = await import("./commands/train-report.js");
      await trainReport(dir, command.opts());
    });
}
