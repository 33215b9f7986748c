// A repository of the hub as a source of headers: what is planned needs not be fetched.
import { QuipuError } from "../../errors.js";
import type { CheckpointSource } from "../source.js";
import { HubClient } from "./client.js";
import { isCommit, repositoryOf } from "./repository-name.js";
import { selectFiles } from "./selection.js";
import { hubSettings } from "./settings.js";

/**
 * Runs `use` with the files of a repository that a pull would fetch. Nothing goes into the cache.
 *
 * @param name "org/name" or "org/name@revision".
 * @throws {QuipuError} ERR_PULL, ERR_ABORTED, ERR_USAGE, as a pull does; what `use` throws.
 */
export async function withHubSource<T>(
  name: string,
  signal: AbortSignal | undefined,
  use: (source: CheckpointSource) => Promise<T>,
): Promise<T> {
  const { repo, revision } = repositoryOf(name);
  const settings = hubSettings();
  if (settings.offline) {
    throw new QuipuError(
      "ERR_PULL",
      `${repo}: it is not in the cache, or not all of it, and nothing is fetched, as HF_HUB_OFFLINE is set. Unset it, or copy the model into ${settings.cache}.`,
    );
  }
  const advice = `${name} is not in the cache, or not all of it, so the hub is asked for its headers. Try again later, or plan a model that is here: \`quipu models\` lists them.`;
  const client = new HubClient(settings, { advice });
  try {
    const commit = isCommit(revision) ? revision : (await client.resolve(repo, revision, signal)).commit;
    const files = selectFiles(repo, await client.list(repo, commit, signal))
      .filter(({ path }) => !path.includes("/"))
      .map(({ path, size }) => ({ name: path, bytes: size }))
      .sort((a, b) => (a.name < b.name ? -1 : 1));
    const sizes = new Map(files.map(({ name: file, bytes }) => [file, bytes]));
    return await use({
      ...{ where: name, files, isLocal: false },
      async readRange(file, first, last, asked) {
        const end = Math.min(last, sizes.get(file) ?? last);
        return end <= first ? Buffer.alloc(0) : client.readRange(repo, commit, file, first, end - 1, asked);
      },
    });
  } finally {
    await client.close();
  }
}
