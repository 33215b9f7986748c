// The commands of `quipu data`.
import { type Command, Option } from "commander";
import type { QuipuCommand } from "./command.js";
import type { Context } from "./context.js";
import { FIELD, FORMAT, JSON_OBJECT } from "./options.js";
import { realNumber, wholeNumber } from "./values.js";

const PACK_HELP_AFTER = `
Each file appears whole or not at all. 'quipu data inspect' says what is in one:
  quipu data pack --tokenizer out stories/*.jsonl.gz -o stories.tokens`;

/** Puts them below `data`. */
export function addDataCommand(data: Command, context: Context): void {
  data.helpCommand(false);
  data
    .command("pack")
    .description(
      "Packs texts into a file of tokens to train on: text or JSON Lines, either may be gzipped, '-' for stdin. A plain file is one document.",
    )
    .argument("<files...>", "texts to pack")
    .option("--tokenizer <path>", "a checkpoint folder, a tokenizer's file, or a name as org/name")
    .option("-o, --output <file>", "token file to write", "corpus.tokens")
    .option("--force", "overwrite it (default: refuse, before anything is read)")
    .addOption(
      new Option(
        "--hold-out <share>",
        "share of documents, told by a hash of their text, that go to a second file, as 0.01 (default: 0)",
      ).argParser(realNumber(0, 0.5)),
    )
    .option("--bos <text>", "the special token that begins a document; none (default: what the tokenizer puts there)")
    .option("--eos <text>", "the one that ends it; none (default: the tokenizer's)")
    .addOption(FORMAT())
    .addOption(FIELD())
    .addOption(
      new Option("-t, --threads <n>", "threads that encode (default: what the machine gives)").argParser(
        wholeNumber(1, 1024),
      ),
    )
    .addOption(JSON_OBJECT())
    .option("--quiet", "print nothing but errors")
    .addHelpText("after", PACK_HELP_AFTER)
    .action(async (files: string[], _options, command: QuipuCommand) => {
      const { dataPack } = await import("./commands/data-pack.js");
      await dataPack(files, command.allOptions(), context);
    });
  data
    .command("inspect")
    .description("what a token file is: documents, tokens, vocabulary; with --document one of its documents")
    .argument("<file>", "token file")
    .option("--tokenizer <path>", "see to it that its vocabulary is the file's")
    .addOption(new Option("--document <n>", "print a document's text, the first is 0").argParser(wholeNumber(0)))
    .addOption(JSON_OBJECT())
    .action(async (file: string, _options, command: QuipuCommand) => {
      const { dataInspect } = await import("./commands/data-inspect.js");
      await dataInspect(file, command.allOptions(), context);
    });
}
