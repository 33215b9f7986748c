// The options of the command line, as --help shows them. Each group is one heading of the help.
import { type Command, Option } from "commander";
import {
  byteSize,
  choice,
  collect,
  collectIds,
  deviceName,
  logitBias,
  once,
  realNumber,
  variable,
  wholeNumber,
} from "./values.js";

/** Reserved option names: a later version has these options. */
export const LATER_OPTIONS: ReadonlySet<string> = new Set([
  ...["--lines", "--json-schema", "--regex", "--choice", "--draft", "--lookup", "--receipt"],
]);

const option = (flags: string, description: string) => new Option(flags, description);
const whole = (flags: string, description: string, from: number, to?: number) =>
  option(flags, description).argParser(wholeNumber(from, to));
const real = (flags: string, description: string, from: number, to: number, above = false) =>
  option(flags, description).argParser(realNumber(from, to, above));

export const MODEL = () =>
  option("-m, --model <dir|name>", "checkpoint folder, or a name as org/name (default: the embedded storyteller)");
export const CONTEXT = () =>
  whole("-c, --ctx-size <n>", "positions of the context (default: what the model supports, capped by memory)", 2);
export const KV_CACHE = (description = "storage of keys and values: f32, f16, int8 (default: f16)") =>
  option("--kv-cache <type>", description).argParser(choice(["f32", "f16", "int8"]));
export const QUANTIZE = (description = "q8, q4: weights of 8 or 4 bits, made at load (default: none, as they are)") =>
  option("-q, --quantize <type>", description).argParser(choice(["none", "q8", "q4"]));
export const DEVICE = () =>
  option("-d, --device <name>", "auto, cpu, cuda, or cuda:1 for the second GPU (default: auto, the cpu)").argParser(
    deviceName,
  );
export const THREADS = () => whole("-t, --threads <n>", "threads (default: what the machine gives)", 1, 1024);
export const BATCH_SIZE = () =>
  whole("-b, --batch-size <n>", "tokens of the prompt in one step (default: 512)", 1, 65536);
export const JSON_OBJECT = () => option("--json", "one JSON object");
export const FORMAT = () =>
  option("--format <name>", "auto: *.jsonl and *.ndjson are JSON Lines (default: auto)").choices([
    "auto",
    "text",
    "jsonl",
  ]);
export const FIELD = () => option("--field <name>", "member of a JSON line that holds its text (default: text)");

const TOOLS = () =>
  option("--tools <file>", "tools for the chat template: a JSON list, as OpenAI writes them").conflicts("raw");
const TEMPLATE_VAR = () =>
  option("--template-var <name=value>", "a variable of the chat template, as JSON or text; repeatable")
    .argParser(variable)
    .conflicts("raw");
const CHAT_TEMPLATE = () =>
  option("--chat-template <name|file>", "another of the model's chat templates, or one of your own").conflicts("raw");

export function addPromptOptions(command: Command): Command {
  return command
    .optionsGroup("Prompt:")
    .addOption(option("-p, --prompt <text>", "the prompt, in place of the words; '-' reads stdin").argParser(once))
    .addOption(option("-f, --file <path>", "prompt from a file; '-' is stdin").argParser(once))
    .option("--no-stdin", "leave stdin alone, for loops that read lines");
}

export function addTokensOptions(command: Command): Command {
  return command
    .optionsGroup("Text:")
    .addOption(option("-p, --prompt <text>", "the text, in place of the words; '-' reads stdin").argParser(once))
    .option("-f, --file <path...>", "texts from files, and from those in folders; '-' is stdin; repeatable")
    .option("--skip-invalid", "files that cannot be read or are no UTF-8 are no error")
    .option("--no-stdin", "leave stdin alone, for loops that read lines")
    .addOption(
      option("--chat <path>", "a conversation as JSON (messages, or a request), shown in the chat template").conflicts([
        "special",
      ]),
    )
    .addOption(TOOLS())
    .addOption(TEMPLATE_VAR())
    .addOption(CHAT_TEMPLATE())
    .optionsGroup("Tokenizer:")
    .addOption(MODEL())
    .addOption(
      option(
        "--encoding <name>",
        "a public encoding in place of a model's: cl100k_base, gpt2, o200k_base, o200k_harmony, p50k_base, p50k_edit, r50k_base, or a model that uses one, such as gpt-4o",
      ).conflicts(["model"]),
    )
    .option("--special", "control tokens in the text become their ids")
    .option("--bos", "begin with the begin-of-text id")
    .optionsGroup("Output:")
    .option("--count", "the number of tokens in all and nothing else (default: of several files a table)")
    .addOption(option("--ids", "the ids, a line for each text").conflicts(["count", "show"]))
    .addOption(option("--show", "ids and texts; in colours on a terminal").conflicts(["count"]))
    .addOption(
      option("--decode", "take ids and print their text").conflicts([
        ...["count", "ids", "show", "limit", "price", "special", "bos", "chat", "skipInvalid"],
      ]),
    )
    .addOption(
      option(
        "--limit <n>",
        "exit status 4 for a text of more tokens; 'context': more than the model's context",
      ).argParser((text) => (text === "context" ? text : wholeNumber(0)(text))),
    )
    .addOption(
      real("--price <x>", "what a million tokens cost: adds bytes per token and the cost", 0, 1e9).conflicts([
        ...["count", "ids", "show"],
      ]),
    )
    .option("--json", "one JSON object; with --ids or --show, these in it")
    .option("--quiet", "no progress on a terminal and no warnings");
}

export function addTemplateOptions(command: Command): Command {
  return command
    .optionsGroup("Prompt:")
    .addOption(option("--chat", "put the prompt into the chat template (default where the model has one)"))
    .addOption(option("--raw", "continue the prompt as it is").conflicts("chat"))
    .addOption(
      option("--special", "control tokens in a raw prompt become their ids").conflicts(["chat", "system", "messages"]),
    )
    .option("--system <text>", "system message before the prompt, with the chat template")
    .addOption(
      option(
        "--messages <file>",
        "a conversation as OpenAI writes it in place of the prompt: JSON, messages or a request; '-' reads stdin",
      ).conflicts("raw"),
    )
    .addOption(
      option("--continue", "with --messages: go on with the last message in place of answering it").conflicts("raw"),
    )
    .addOption(TOOLS())
    .addOption(TEMPLATE_VAR())
    .addOption(CHAT_TEMPLATE());
}

export function addChatOptions(command: Command): Command {
  command
    .optionsGroup("Conversation:")
    .option("--system <text>", "system message")
    .addOption(option("--messages <file>", "a conversation to go on with: JSON, as /save and OpenAI write it"))
    .addOption(TOOLS())
    .addOption(TEMPLATE_VAR())
    .addOption(CHAT_TEMPLATE())
    .option("--no-history", "do not keep what is typed for the next chat, and show none of it");
  return addSamplingOptions(addModelOptions(command), { length: "until a stop", seedShown: "/stats" })
    .optionsGroup("Output:")
    .option("--quiet", "no greeting, no progress and no warnings");
}

export function addModelOptions(command: Command): Command {
  return command
    .optionsGroup("Model:")
    .addOption(MODEL())
    .addOption(CONTEXT())
    .addOption(KV_CACHE())
    .addOption(DEVICE())
    .addOption(whole("--n-gpu-layers <n>", "above 0: --device cuda", -1).hideHelp())
    .addOption(THREADS())
    .addOption(BATCH_SIZE())
    .addOption(QUANTIZE())
    .option("--no-cache", "do not keep packed weights, nor use those that are kept (quipu cache)")
    .option("--no-mmap", "read the weights in place of mapping them");
}

export function addPullOptions(command: Command): Command {
  return command
    .addOption(
      option(
        "--include <pattern>",
        "files to fetch, as '*.json' or 'onnx/', in place of weights, configuration, tokenizer and texts; repeatable",
      ).argParser(collect),
    )
    .option("--verify", "read what is here again, and fetch what is damaged (default: look at sizes)")
    .addOption(JSON_OBJECT())
    .option("--quiet", "no progress, only the folder");
}

export function addPruneOptions(command: Command): Command {
  return command
    .addOption(option("-m, --model <dir|name>", "also what was made of this model"))
    .addOption(whole("--older-than <days>", "also what was not used for so many days", 0))
    .addOption(
      option("--max-size <size>", "also what was not used for longest, until as much is left, as 512M or 8G").argParser(
        byteSize(0),
      ),
    )
    .addOption(JSON_OBJECT());
}

export function addBenchmarkOptions(command: Command, heading = "Options:"): Command {
  return command
    .optionsGroup(heading)
    .addOption(whole("--prompt-tokens <n>", "tokens of the prompt (default: 512, less where the context is)", 1))
    .addOption(whole("--gen-tokens <n>", "tokens to generate (default: 128)", 2))
    .addOption(whole("--repeats <n>", "times to measure (default: 5)", 1, 1000))
    .addOption(whole("--depth <n>", "tokens in the context before those measured (default: 0)", 0))
    .addOption(
      option("--format <name>", "table, md, json, csv (default: table)").argParser(
        choice(["table", "md", "json", "csv"]),
      ),
    );
}

/**
 * @param length of a completion, where neither the user nor the model says one.
 * @param seedShown where one that is drawn is told.
 */
export function addSamplingOptions(command: Command, { length = "256", seedShown = "--verbose" } = {}): Command {
  return command
    .optionsGroup("Sampling:")
    .addOption(
      whole(
        "-n, --max-tokens <n>",
        `most tokens to generate (default: the model's, else ${length}); -1: until a stop or the context is full`,
        -1,
      ),
    )
    .addOption(real("--temp <x>", "temperature (default: the model's, else 0.8); 0 is greedy", 0, 100))
    .addOption(
      whole("--top-k <k>", "only the k most likely tokens (default: the model's, else 0: all)", 0, 2 ** 31 - 1),
    )
    .addOption(
      real("--top-p <p>", "only the most likely of probability p in all (default: the model's, else 1)", 0, 1, true),
    )
    .addOption(
      real("--min-p <p>", "only those at least p times as likely as the best (default: the model's, else 0)", 0, 1),
    )
    .addOption(
      real(
        "--repeat-penalty <x>",
        "divides the logits of tokens in prompt and completion (default: the model's, else 1)",
        0,
        100,
        true,
      ),
    )
    .addOption(real("--presence-penalty <x>", "subtracted from the logits of generated tokens (default: 0)", -100, 100))
    .addOption(
      real("--frequency-penalty <x>", "subtracted for every time a token was generated (default: 0)", -100, 100),
    )
    .addOption(
      option("--logit-bias <id|text=x>", "added to the logit of a token, given by id or text; repeatable").argParser(
        logitBias,
      ),
    )
    .addOption(whole("-s, --seed <n>", `the same seed repeats a run (default: drawn, shown by ${seedShown})`, 0))
    .addOption(option("--stop <text>", "ends the completion and is not printed; repeatable").argParser(collect))
    .addOption(
      option(
        "--stop-id <id|text>",
        "a token that ends the completion, by id or as a special token's text; repeatable",
      ).argParser(collectIds),
    )
    .option("--ignore-eos", "go on past the model's own stop tokens; --stop and --stop-id still end the completion")
    .addOption(
      option(
        "--on-overflow <way>",
        "a prompt that does not fit: error, truncate-head, truncate-middle; of messages also slide, which leaves out the oldest turns (default: error)",
      ).argParser(choice(["error", "truncate-head", "truncate-middle", "slide"])),
    );
}

export function addOutputOptions(command: Command): Command {
  return command
    .optionsGroup("Output:")
    .option("--json", "JSON Lines: a start event, one for every token, an end event")
    .addOption(whole("--logprobs <k>", "with --json: the k best alternatives of every token (most: 20)", 0, 20))
    .option("--echo", "the prompt before the completion")
    .option("--newline", "exactly one newline at the end, also where stdout is no terminal")
    .option("--verbose", "settings in force and timings, on stderr")
    .addOption(option("--quiet", "no progress on a terminal and no warnings, only the text").conflicts("verbose"));
}

export function addTrainOptions(command: Command): Command {
  return command
    .addOption(
      new Option("--vocab-size <n>", "ids in all: 256 bytes, merges, special tokens").argParser(
        wholeNumber(256, 2 ** 24),
      ),
    )
    .addOption(
      new Option("--pattern <name>", "how text is cut into pieces (default: llama3)").choices([
        "llama3",
        "gpt2",
        "o200k",
      ]),
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
    .addOption(FORMAT())
    .addOption(FIELD())
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
