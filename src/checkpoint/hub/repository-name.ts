// Names of repositories on the hub: "org/name", "name" for some old ones, and "@revision" after them.
import { QuipuError } from "../../errors.js";

export interface RepositoryName {
  /** "org/name". */
  readonly repo: string;
  /** A branch, a tag or a commit; undefined where none was given. */
  readonly revision: string | undefined;
}

const PART = /^\w(?:[\w.-]*\w)?$/;
/** Of the hub. */
const MOST_LETTERS = 96;
export const DEFAULT_REVISION = "main";

/** Undefined where `text` names no repository: it may be a path. */
export function parseRepositoryName(text: string): RepositoryName | undefined {
  const at = text.indexOf("@");
  const repo = at < 0 ? text : text.slice(0, at);
  const revision = at < 0 ? undefined : text.slice(at + 1);
  const parts = repo.split("/");
  const isName =
    parts.length <= 2 &&
    repo.length <= MOST_LETTERS &&
    parts.every((part) => PART.test(part)) &&
    !/--|\.\.|\.git$/.test(repo);
  return isName && (revision === undefined || isRevision(revision)) ? { repo, revision } : undefined;
}

/** As git has them (git-check-ref-format), and none that leaves a folder. */
export function isRevision(text: string): boolean {
  return (
    text.length <= 250 &&
    /^[^\s~^:?*[\]\\@{}\p{Cc}]+$/u.test(text) &&
    text.split("/").every((part) => part !== "" && !part.startsWith(".") && !part.endsWith(".lock"))
  );
}

/** Forty digits: what it names never changes. */
export function isCommit(revision: string): boolean {
  return /^[0-9a-f]{40}$/.test(revision);
}

/**
 * @param revision takes the place of one after "@".
 * @throws {QuipuError} ERR_USAGE naming the argument.
 */
export function repositoryOf(text: string, revision?: string): { repo: string; revision: string } {
  const name = parseRepositoryName(text);
  if (name === undefined) {
    throw new QuipuError(
      "ERR_USAGE",
      `repo: expected the name of a repository, as org/name or org/name@revision, got ${JSON.stringify(text.slice(0, 120))}`,
      { option: "repo" },
    );
  }
  if (revision !== undefined && !isRevision(revision)) {
    const got = JSON.stringify(revision.slice(0, 120));
    throw new QuipuError("ERR_USAGE", `revision: expected a branch, a tag or a commit, got ${got}`, {
      option: "revision",
    });
  }
  return { repo: name.repo, revision: revision ?? name.revision ?? DEFAULT_REVISION };
}
