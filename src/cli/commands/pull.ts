// quipu pull: fetches a model from the hub.
import type { Context } from "../context.js";
import { fetchModel } from "../fetch.js";
import { write } from "../terminal/output.js";

export interface PullCommandOptions {
  readonly include?: string[];
  readonly verify?: boolean;
  readonly quiet?: boolean;
  readonly json?: boolean;
}

export async function pull(repo: string, options: PullCommandOptions, context: Context): Promise<void> {
  const result = await fetchModel(repo, options, context);
  await write(options.json ? `${JSON.stringify(result)}\n` : `${result.folder}\n`);
}
