// Commands and options, as --help shows them. What they do is in commands/.
import { createRequire } from "node:module";
import { Command, Option } from "commander";
import { QuipuError } from "../errors.js";
import { byteSize, collect, logitBias, realNumber, wholeNumber } from "./values.js";

/** What every command gets beside its options. */
export interface Context {
  readonly signal: AbortSignal;
}

const { version } = createRequire(import.meta.url)("../../package.json") as { version: string };

/** Commands that the design has and this version has not: their names are theirs already. */
const LATER = ["chat", "pull", "models", "plan", "replay", "train", "data", "eval", "serve"];

export function makeProgram(context: Context): Command {
  const program = new Command("quipu")
    .usage("[options] [prompt...]\n       quipu <command> [options]")
    .description("Generates text with Llama models. Without a command: completes the prompt.")
    .version(version, "-V, --version", "print the version")
    .helpOption("-h, --help", "print this help")
    .helpCommand(false)
    .enablePositionalOptions()
    .showSuggestionAfterError(true)
    .configureHelp({ showGlobalOptions: false })
    .configureOutput({ outputError: (text, write) => write(text.replace(/^error: /, "quipu: ")) })
    .exitOverride()
    .argument("[prompt...]", "what to continue, or what to say to a chat model");
  addGenerateOptions(program);
  program.addHelpText("after", HELP_AFTER).action(async (words: string[], _options, command: Command) => {
    const { generate } = await import("./commands/generate.js");
    await generate(words, command.opts(), context);
  });

  const sub = (name: string, description: string) =>
    program.command(name).description(description).helpOption("-h, --help", "print this help").exitOverride();

  const benchmark = sub("benchmark", "measure speed and memory against this machine's roofs (same as --benchmark)");
  addModelOptions(addBenchmarkOptions(benchmark)).action(async (_options, command: Command) => {
    const { benchmark: run } = await import("./commands/benchmark.js");
    await run(command.optsWithGlobals(), context);
  });

  addPromptOptions(sub("tokens", "count, show or decode tokens").argument("[text...]", "text, or ids with --decode"))
    .addOption(MODEL())
    .option("--count", "print the number of tokens and nothing else")
    .option("--ids", "print the ids and nothing else")
    .option("--decode", "take ids and print their text")
    .option("--special", "control tokens in the text become their ids")
    .option("--bos", "begin with the begin-of-text id")
    .option("--json", "one JSON object")
    .action(async (words: string[], _options, command: Command) => {
      const { tokens } = await import("./commands/tokens.js");
      await tokens(words, command.optsWithGlobals());
    });

  const next = sub("next", "table of the most likely next tokens with probabilities").argument("[prompt...]", "text");
  addModelOptions(addTemplateOptions(addPromptOptions(next)))
    .addOption(new Option("--top <k>", "how many").argParser(wholeNumber(1)).default(10))
    .option("--json", "one JSON object")
    .action(async (words: string[], _options, command: Command) => {
      const { next: run } = await import("./commands/next.js");
      await run(words, command.optsWithGlobals(), context);
    });

  const inspect = sub("inspect", "shapes, dtypes, parameters, memory plan; 'inspect prompt' shows the rendered prompt")
    .argument("[model]", "checkpoint folder or name; the same as -m")
    .addOption(MODEL())
    .addOption(CONTEXT())
    .addOption(KV_CACHE())
    .option("--tensors", "list every tensor")
    .option("--json", "one JSON object")
    .enablePositionalOptions()
    .action(async (model: string | undefined, _options, command: Command) => {
      const { inspect: run } = await import("./commands/inspect.js");
      await run(model, command.optsWithGlobals());
    });
  const prompt = inspect.command("prompt").description("the prompt as the model sees it: template, ids, token borders");
  addTemplateOptions(addPromptOptions(prompt.argument("[prompt...]", "text")))
    .addOption(MODEL())
    .option("--json", "one JSON object")
    .helpOption("-h, --help", "print this help")
    .exitOverride()
    .action(async (words: string[], _options, command: Command) => {
      const { inspectPrompt } = await import("./commands/inspect-prompt.js");
      await inspectPrompt(words, command.optsWithGlobals());
    });

  sub("doctor", "what this machine offers: instruction sets, threads, memory and its measured bandwidth, CUDA")
    .option("--json", "one JSON object")
    .action(async (_options, command: Command) => {
      const { doctor } = await import("./commands/doctor.js");
      await doctor(command.opts());
    });

  const tokenizer = sub("tokenizer", "tokenizer train: learn a vocabulary from texts").helpCommand(false);
  const train = tokenizer
    .command("train")
    .description(
      "Learns a byte-level BPE vocabulary: text or JSON Lines, either may be gzipped, '-' for stdin. A plain file is one text.",
    )
    .helpOption("-h, --help", "print this help")
    .exitOverride()
    .argument("<files...>", "texts to learn from");
  addTrainOptions(train).action(async (files: string[], _options, command: Command) => {
    const { tokenizerTrain } = await import("./commands/tokenizer-train.js");
    await tokenizerTrain(files, command.opts(), context);
  });

  for (const name of LATER) {
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

const HELP_AFTER = `
A prompt whose first word is a command's name needs -p: quipu -p "next time". Text on stdin comes before the prompt:
cat notes.txt | quipu "Summary:". In a shell loop that reads lines, --no-stdin keeps quipu from eating them.
Exit status: 0 done, 1 unexpected failure, 2 usage, 3 model, 4 prompt too long, 5 out of memory, 6 no such device,
130 / 143 interrupted. Also understood: --predict, --n-predict, --max_tokens, --temperature, -sys, --ctx, -ngl.`;

const MODEL = () =>
  new Option("-m, --model <dir|name>", "checkpoint folder, or a name (default: the embedded storyteller)");
const CONTEXT = () =>
  new Option("-c, --ctx-size <n>", "context (default: what the model supports, capped by memory)").argParser(
    wholeNumber(2),
  );
const KV_CACHE = () =>
  new Option("--kv-cache <type>", "storage of keys and values (default: f16)").choices(["f32", "f16", "int8"]);

function addPromptOptions(command: Command): Command {
  return command
    .option("-p, --prompt <text>", "same as the words; '-' reads stdin")
    .option("-f, --file <path>", "prompt from a file")
    .option("--no-stdin", "leave stdin alone");
}

function addTemplateOptions(command: Command): Command {
  return command
    .option("--system <text>", "system message before the prompt (chat template)")
    .addOption(new Option("--chat", "put the prompt into the chat template").conflicts("raw"))
    .addOption(new Option("--raw", "complete the prompt as it is (default: --chat where the model has a template)"));
}

function addModelOptions(command: Command): Command {
  return command
    .addOption(MODEL())
    .addOption(CONTEXT())
    .addOption(new Option("-q, --quantize <type>", "weights as they are: none").choices(["none", "q8", "q4"]))
    .addOption(new Option("-d, --device <name>", "where to compute (default: auto)").choices(["auto", "cpu", "cuda"]))
    .addOption(new Option("--n-gpu-layers <n>", "above 0: --device cuda").argParser(wholeNumber(-1)).hideHelp())
    .addOption(
      new Option("-t, --threads <n>", "threads (default: what the machine gives)").argParser(wholeNumber(1, 1024)),
    )
    .addOption(
      new Option("-b, --batch-size <n>", "prompt rows in a step (default: 512)").argParser(wholeNumber(1, 65536)),
    )
    .addOption(KV_CACHE())
    .option("--no-mmap", "read the weights in place of mapping them");
}

function addBenchmarkOptions(command: Command): Command {
  return command
    .addOption(
      new Option("--prompt-tokens <n>", "benchmark: tokens of the prompt (default: 512)").argParser(wholeNumber(1)),
    )
    .addOption(new Option("--gen-tokens <n>", "benchmark: tokens to generate (default: 128)").argParser(wholeNumber(2)))
    .addOption(new Option("--repeats <n>", "benchmark: repeats (default: 5)").argParser(wholeNumber(1, 1000)))
    .addOption(
      new Option("--depth <n>", "benchmark: tokens before those measured (default: 0)").argParser(wholeNumber(0)),
    )
    .addOption(
      new Option("--format <name>", "benchmark: form of the result (default: table)").choices([
        "table",
        "md",
        "json",
        "csv",
      ]),
    );
}

function addTrainOptions(command: Command): Command {
  return command
    .addOption(
      new Option("--vocab-size <n>", "ids in all: 256 bytes, merges, special tokens")
        .argParser(wholeNumber(256, 2 ** 24))
        .makeOptionMandatory(),
    )
    .addOption(
      new Option("--pattern <name>", "how text is cut into pieces (default: llama3)").choices(["llama3", "gpt2"]),
    )
    .addOption(
      new Option(
        "--special <text>",
        "a special token, repeatable; llama3: its 256; none (default: <|begin_of_text|>, <|end_of_text|>)",
      ).argParser(collect),
    )
    .option("--bos <text>", "the special token that begins a text (default: <|begin_of_text|>, if it is one)")
    .option("--eos <text>", "the one that ends it (default: <|end_of_text|>, if it is one)")
    .option(
      "-o, --output <file>",
      "rank file to write; tokenizer.json and tokenizer_config.json go beside it",
      "tokenizer.model",
    )
    .option("--force", "overwrite these files (default: refuse, before anything is read)")
    .addOption(
      new Option("--format <name>", "auto: *.jsonl and *.ndjson are JSON Lines (default: auto)").choices([
        "auto",
        "text",
        "jsonl",
      ]),
    )
    .option("--field <name>", "member of a JSON line that holds its text (default: text)")
    .addOption(
      new Option("--min-frequency <n>", "do not merge pairs that are rarer (default: 1)").argParser(wholeNumber(1)),
    )
    .addOption(
      new Option("--min-piece-count <n>", "leave out pieces that are rarer (default: 1)").argParser(wholeNumber(1, 64)),
    )
    .addOption(
      new Option("-t, --threads <n>", "threads that count (default: what the machine gives)").argParser(
        wholeNumber(1, 1024),
      ),
    )
    .addOption(
      new Option(
        "--memory <size>",
        "for counts and learning, as 512M or 8G (default: half of the machine's)",
      ).argParser(byteSize(2 ** 20)),
    )
    .option("--checkpoint <dir>", "keep counts there: after an interruption, the same command goes on")
    .option("--json", "one JSON object")
    .option("--quiet", "print nothing but errors");
}

function addGenerateOptions(command: Command): Command {
  addTemplateOptions(addPromptOptions(command));
  addModelOptions(command)
    .addOption(
      new Option("-n, --max-tokens <n>", "at most (default: 256; -1: until a stop or the context is full)").argParser(
        wholeNumber(-1),
      ),
    )
    .addOption(
      new Option("--temp <x>", "temperature (default: the model's, else 0.8); 0 is greedy").argParser(
        realNumber(0, 100),
      ),
    )
    .addOption(new Option("--top-k <k>", "keep the k most likely (0: all)").argParser(wholeNumber(0, 2 ** 31 - 1)))
    .addOption(new Option("--top-p <p>", "keep the most likely with probability p in all").argParser(realNumber(0, 1)))
    .addOption(
      new Option("--min-p <p>", "keep those at least p times as likely as the best").argParser(realNumber(0, 1)),
    )
    .addOption(new Option("--repeat-penalty <x>", "divides logits of ids there already").argParser(realNumber(0, 100)))
    .addOption(
      new Option("--presence-penalty <x>", "subtracted for ids generated already").argParser(realNumber(-100, 100)),
    )
    .addOption(
      new Option("--frequency-penalty <x>", "subtracted for each time generated").argParser(realNumber(-100, 100)),
    )
    .addOption(new Option("--logit-bias <id|text=x>", "added to a token's logit; repeatable").argParser(logitBias))
    .addOption(
      new Option("-s, --seed <n>", "repeats a run (default: drawn, shown by --verbose)").argParser(wholeNumber(0)),
    )
    .addOption(new Option("--stop <text>", "ends the completion, never printed; repeatable").argParser(collect))
    .option("--ignore-eos", "go on past end-of-sequence tokens")
    .addOption(
      new Option("--on-overflow <way>", "a prompt that does not fit (default: error)").choices([
        "error",
        "truncate-head",
        "truncate-middle",
      ]),
    )
    .option("--json", "JSON Lines events: start, token, end")
    .addOption(
      new Option("--logprobs <k>", "with --json: the k best alternatives of every token").argParser(wholeNumber(0, 20)),
    )
    .option("--echo", "print the prompt before the completion")
    .option("--verbose", "effective settings and timings on stderr")
    .option("--quiet", "nothing but the text")
    .option("--benchmark", "measure instead of generate");
  return addBenchmarkOptions(command);
}
