// The commands and what each is given. What they do is in commands/, loaded when it runs.
import { readFileSync } from "node:fs";
import type { Command } from "commander";
import { QuipuError } from "../errors.js";
import { QuipuCommand } from "./command.js";
import type { Context } from "./context.js";
import { addDataCommand } from "./data-command.js";
import { addModelsCommand } from "./models-command.js";
import {
  addBenchmarkOptions,
  addChatOptions,
  addModelOptions,
  addOutputOptions,
  addPromptOptions,
  addPruneOptions,
  addPullOptions,
  addSamplingOptions,
  addTemplateOptions,
  addTokensOptions,
  addTrainOptions,
  BATCH_SIZE,
  CONTEXT,
  DEVICE,
  JSON_OBJECT,
  KV_CACHE,
  MODEL,
  QUANTIZE,
  THREADS,
} from "./options.js";
import { addTrainCommand } from "./train-command.js";
import { wholeNumber } from "./values.js";

const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
  version: string;
};

/** Reserved command names: a later version has these commands. */
export const LATER_COMMANDS = ["replay", "eval", "serve"];

const HELP_AFTER = `
Text on stdin comes before the prompt: cat notes.txt | quipu "Summary:"
A prompt whose first word is a command's name needs -p: quipu -p "next time"
'quipu help [command]' and 'quipu version' print what --help and --version do.
Words that begin with '-' come after --: quipu -- -1 is less than
In a loop that reads lines, --no-stdin keeps quipu from eating them.

Also understood: --temperature, --predict, --n-predict, --max_tokens, -sys,
--ctx, and -ngl or --n-gpu-layers (above 0: --device cuda).

Exit status: 0 done, 1 unexpected failure, 2 usage, 3 the model cannot be used,
4 the prompt does not fit, 5 out of memory, 6 device or addon not available,
130 and 143 interrupted by Ctrl-C and SIGTERM.`;

const CHAT_HELP_AFTER = `
On a terminal /help lists the commands of a chat. Without one each line of stdin
is a message, answered on stdout: quipu chat -m MODEL < questions.txt`;

const TOKENS_HELP_AFTER = `
Words are the text, as everywhere in quipu; piped text comes before them. Files
need -f: each is a text of its own, and stdin is then read only as '-'.
  quipu tokens -f src README.md         a table with a total
  git diff | quipu tokens --limit 8000  exit status 4 where it is too long`;

const PLAN_HELP_AFTER = `
Of org/name that is not here the hub is asked, for headers alone.
Nothing is loaded: sizes are those that a load has, and speeds are measured on
some layers of the model's shape with invented weights, seconds a format; of a
GPU none is. Exit status 5 where what is asked for does not fit the memory of
this process, or of the GPU; 6 where there is no such GPU.`;

const CACHE_HELP_AFTER = `
Packed weights and the tables of vocabularies are kept in QUIPU_CACHE, else in
quipu of the user's cache folder: at most 20 GB, or a fifth of the free disk.
What was not used for longest leaves first.`;

const PULL_HELP_AFTER = `
It goes to the hub's cache, which other tools share, and its folder is printed:
  quipu pull org/name && quipu -m org/name "Hello"
HF_ENDPOINT is the hub (default: https://huggingface.co), HF_HUB_CACHE or
HF_HOME the cache, HF_TOKEN the token; HTTPS_PROXY and NO_PROXY are heeded.`;

/** @param print takes the text of --help and --version. */
export function makeProgram(context: Context, print: (text: string) => void): Command {
  const program = new QuipuCommand("quipu")
    .usage("[options] [prompt...]\n       quipu <command> [options]")
    .description(
      "Generates text with Llama models. Without a command: continues the prompt, or answers it where the model has a chat template.",
    )
    .helpOption("-h, --help", "print this help")
    .helpCommand(false)
    .enablePositionalOptions()
    .configureOutput({ writeOut: print, writeErr: print, outputError: () => {} }) // main writes them
    .exitOverride()
    .argument("[prompt...]", "what to continue, or what to say to a chat model");
  addTemplateOptions(addPromptOptions(program));
  addBenchmarkOptions(
    addOutputOptions(addSamplingOptions(addModelOptions(program)))
      .optionsGroup("Benchmark:")
      .option("--benchmark", "measure speed and memory in place of generating"),
    "Benchmark:",
  )
    .optionsGroup("Options:")
    .version(version, "-V, --version", "print the version")
    .addHelpText("after", HELP_AFTER)
    .action(async (words: string[], _options, command: QuipuCommand) => {
      const { generate } = await import("./commands/generate.js");
      await generate(words, command.allOptions(), context);
    });

  const sub = (name: string, description: string) => program.command(name).description(description);

  addChatOptions(sub("chat", "conversation with a model that has a chat template").allowExcessArguments())
    .addHelpText("after", CHAT_HELP_AFTER)
    .action(async (_options, command: QuipuCommand) => {
      if (command.args.length > 0) {
        throw new QuipuError(
          "ERR_USAGE",
          'chat: expected no words: messages are typed, or lines of stdin. To use the word as a prompt: quipu -p "chat …"',
        );
      }
      const { chat } = await import("./commands/chat.js");
      await chat(command.allOptions(), context);
    });

  addModelOptions(
    addBenchmarkOptions(
      sub("benchmark", "measure speed and memory against this machine's roofs (same as --benchmark)"),
    ),
  ).action(async (_options, command: QuipuCommand) => {
    const { benchmark } = await import("./commands/benchmark.js");
    await benchmark(command.allOptions(), context);
  });

  addTokensOptions(sub("tokens", "count, show or decode tokens").argument("[text...]", "text, or ids with --decode"))
    .addHelpText("after", TOKENS_HELP_AFTER)
    .action(async (words: string[], _options, command: QuipuCommand) => {
      const { tokens } = await import("./commands/tokens.js");
      await tokens(words, command.allOptions(), context);
    });

  const next = sub("next", "table of the most likely next tokens with probabilities").argument("[prompt...]", "text");
  addModelOptions(addTemplateOptions(addPromptOptions(next)))
    .optionsGroup("Options:")
    .option("--top <k>", "how many", wholeNumber(1), 10)
    .addOption(JSON_OBJECT())
    .action(async (words: string[], _options, command: QuipuCommand) => {
      const { next: run } = await import("./commands/next.js");
      await run(words, command.allOptions(), context);
    });

  const inspect = sub("inspect", "shapes, dtypes, parameters, memory plan; 'inspect prompt' shows the rendered prompt")
    .usage("[options] [model]\n       quipu inspect prompt [options] [prompt...]")
    .argument("[model]", "checkpoint folder or name; the same as -m")
    .enablePositionalOptions()
    .addOption(MODEL())
    .addOption(CONTEXT())
    .addOption(KV_CACHE())
    .option("--tensors", "list every tensor")
    .addOption(JSON_OBJECT())
    .action(async (model: string | undefined, _options, command: QuipuCommand) => {
      const { inspect: run } = await import("./commands/inspect.js");
      await run(model, command.allOptions(), context);
    });
  const prompt = inspect.command("prompt").description("the prompt as the model sees it: template, ids, token borders");
  addTemplateOptions(addPromptOptions(prompt.argument("[prompt...]", "text")))
    .optionsGroup("Options:")
    .addOption(MODEL())
    .addOption(JSON_OBJECT())
    .action(async (words: string[], _options, command: QuipuCommand) => {
      const { inspectPrompt } = await import("./commands/inspect-prompt.js");
      await inspectPrompt(words, command.allOptions(), context);
    });

  sub("plan", "memory and speed to expect of a model, from its headers alone")
    .argument("[model]", "checkpoint folder or name; the same as -m")
    .addOption(MODEL())
    .addOption(QUANTIZE("q8, q4: weights of 8 or 4 bits; none: as they are (default: all three)"))
    .addOption(KV_CACHE("storage of keys and values: f32, f16, int8 (default: f16, and the sizes of all)"))
    .addOption(CONTEXT())
    .addOption(DEVICE())
    .addOption(THREADS())
    .addOption(BATCH_SIZE())
    .option("--no-speed", "do not measure this machine for the speed to expect")
    .addOption(JSON_OBJECT())
    .option("--quiet", "no progress on a terminal and no warnings")
    .addHelpText("after", PLAN_HELP_AFTER)
    .action(async (model: string | undefined, _options, command: QuipuCommand) => {
      const { plan } = await import("./commands/plan.js");
      await plan(model, command.allOptions(), context);
    });

  sub("doctor", "what this machine offers: instruction sets, threads, memory, measured bandwidth and peaks, CUDA")
    .addOption(JSON_OBJECT())
    .action(async (_options, command: QuipuCommand) => {
      const { doctor } = await import("./commands/doctor.js");
      await doctor(command.allOptions(), context);
    });

  const cache = sub("cache", "what lies in the cache folder: list, prune, clear")
    .usage("[options]\n       quipu cache <command> [options]")
    .helpCommand(false)
    .allowExcessArguments()
    .addOption(JSON_OBJECT())
    .addHelpText("after", CACHE_HELP_AFTER)
    .action(async (_options, command: QuipuCommand) => {
      if (command.args.length > 0) command.unknownCommand();
      const { list } = await import("./commands/cache.js");
      await list(command.allOptions());
    });
  cache
    .command("list")
    .description("the files, the one that was not used for longest first (default)")
    .allowExcessArguments(false)
    .addOption(JSON_OBJECT())
    .action(async (_options, command: QuipuCommand) => {
      const { list } = await import("./commands/cache.js");
      await list(command.allOptions());
    });
  addPruneOptions(
    cache
      .command("prune")
      .description("removes what cannot be used any more, and what the options name")
      .allowExcessArguments(false),
  ).action(async (_options, command: QuipuCommand) => {
    const { prune } = await import("./commands/cache.js");
    await prune(command.allOptions());
  });
  cache
    .command("clear")
    .description("removes everything")
    .allowExcessArguments(false)
    .addOption(JSON_OBJECT())
    .action(async (_options, command: QuipuCommand) => {
      const { clear } = await import("./commands/cache.js");
      await clear(command.allOptions());
    });

  addPullOptions(
    sub("pull", "fetch a model from a hub: resumable, verified").argument(
      "<repo>",
      "org/name, or org/name@revision: a branch, a tag or a commit",
    ),
  )
    .addHelpText("after", PULL_HELP_AFTER)
    .action(async (repo: string, _options, command: QuipuCommand) => {
      const { pull } = await import("./commands/pull.js");
      await pull(repo, command.allOptions(), context);
    });
  addModelsCommand(sub("models", "the models that are here: list, path, remove, prune"));

  const tokenizer = sub("tokenizer", "tokenizer train: learn a vocabulary from texts").helpCommand(false);
  const train = tokenizer
    .command("train")
    .description(
      "Learns a byte-level BPE vocabulary: text or JSON Lines, either may be gzipped, '-' for stdin. A plain file is one text.",
    )
    .argument("<files...>", "texts to learn from");
  addTrainOptions(train).action(async (files: string[], _options, command: QuipuCommand) => {
    const { tokenizerTrain } = await import("./commands/tokenizer-train.js");
    await tokenizerTrain(files, command.allOptions(), context);
  });

  addDataCommand(sub("data", "data pack: texts to a file of tokens; data inspect: what is in one"), context);

  addTrainCommand(sub("train", "train a model from tokens; train report: a page about a run"), context);

  for (const name of LATER_COMMANDS) {
    program
      .command(name, { hidden: true })
      .allowUnknownOption()
      .allowExcessArguments()
      .helpOption(false)
      .action(() => {
        throw new QuipuError(
          "ERR_USAGE",
          `${name}: this command is not in this version. To use the word as a prompt: quipu -p "${name} …"`,
        );
      });
  }
  return program;
}
