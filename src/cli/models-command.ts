// The commands of `quipu models`.
import type { Command } from "commander";
import type { QuipuCommand } from "./command.js";
import { JSON_OBJECT } from "./options.js";

const HELP_AFTER = `
They lie in the hub's cache, HF_HUB_CACHE or hub in HF_HOME, which other tools
share: what they fetched is listed, too, and removed for them as well.`;

/** Puts them below `models`. */
export function addModelsCommand(models: Command): void {
  models
    .usage("[options]\n       quipu models <command> [options]")
    .helpCommand(false)
    .allowExcessArguments()
    .addOption(JSON_OBJECT())
    .addHelpText("after", HELP_AFTER)
    .action(async (_options, command: QuipuCommand) => {
      if (command.args.length > 0) command.unknownCommand();
      const { list } = await import("./commands/models.js");
      await list(command.allOptions());
    });
  const sub = (name: string, description: string) =>
    models.command(name).description(description).allowExcessArguments(false);
  sub("list", "names, revisions and sizes (default)")
    .addOption(JSON_OBJECT())
    .action(async (_options, command: QuipuCommand) => {
      const { list } = await import("./commands/models.js");
      await list(command.allOptions());
    });
  sub("path", "the folder of a model, for other programs")
    .argument("<name>", "org/name, or org/name@revision")
    .addOption(JSON_OBJECT())
    .action(async (name: string, _options, command: QuipuCommand) => {
      const { path } = await import("./commands/models.js");
      await path(name, command.allOptions());
    });
  sub("remove", "removes models, or with @ one revision of them")
    .argument("<names...>", "org/name, or org/name@revision")
    .addOption(JSON_OBJECT())
    .action(async (names: string[], _options, command: QuipuCommand) => {
      const { remove } = await import("./commands/models.js");
      await remove(names, command.allOptions());
    });
  sub("prune", "removes revisions that nothing names any more, partial files, and locks that nobody has")
    .option("--dry-run", "tell, and remove nothing")
    .addOption(JSON_OBJECT())
    .action(async (_options, command: QuipuCommand) => {
      const { prune } = await import("./commands/models.js");
      await prune(command.allOptions());
    });
}
