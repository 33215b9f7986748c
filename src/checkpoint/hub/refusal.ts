// What a hub's refusal means, and what to do about it.
import { QuipuError } from "../../errors.js";
import type { HubSettings } from "./settings.js";

export interface Refusal {
  readonly status: number;
  /** The hub's own word for it: RepoNotFound, RevisionNotFound, EntryNotFound, GatedRepo. */
  readonly code: string | undefined;
  readonly text: string;
}

export interface AskedFor {
  readonly repo: string;
  readonly revision: string;
  readonly path?: string;
}

export function refusal(refused: Refusal, { repo, revision, path }: AskedFor, settings: HubSettings): QuipuError {
  const { status, code } = refused;
  const { endpoint, token } = settings;
  const page = `${endpoint.href.replace(/\/$/, "")}/${repo}`;
  const fail = (problem: string) => new QuipuError("ERR_PULL", problem);
  if (code === "GatedRepo") return fail(`${repo} is gated: ${gatedAdvice(page, settings)}`);
  if (code === "RevisionNotFound") {
    return fail(
      `${repo}: there is no branch, tag or commit ${JSON.stringify(revision)}. ${page}/tree/main lists them.`,
    );
  }
  if (code === "EntryNotFound" && path !== undefined) return fail(`${repo}: ${path} is not there at ${revision}.`);
  if (status === 401 || status === 403 || status === 404) {
    const isMissing = code === "RepoNotFound" || status === 404;
    if (status === 401 && token !== undefined && !isMissing) {
      return fail(`${endpoint.origin} does not accept the token of ${token.source}: is it expired? ${says(refused)}`);
    }
    if (status === 403) {
      return fail(
        `${repo}: access is refused${token === undefined ? "" : ` to the token of ${token.source}`}. If it is gated: ${gatedAdvice(page, settings)}`,
      );
    }
    const whose =
      token === undefined
        ? "or it is private, and needs a token: HF_TOKEN, or the file that `hf auth login` writes"
        : `or the token of ${token.source} may not see it`;
    return fail(`${repo}: ${endpoint.origin} has no such repository, ${whose}. Is the name right?`);
  }
  return fail(`${repo}: ${endpoint.origin} answered ${status}. ${says(refused)}`.trimEnd());
}

function gatedAdvice(page: string, { token }: HubSettings): string {
  if (token === undefined) {
    return `accept its terms on ${page} with an account there, then give a token of that account: in HF_TOKEN, or in the file that \`hf auth login\` writes.`;
  }
  return `the account of the token of ${token.source} has no access yet. Accept its terms on ${page}, and wait until they are granted; a fine-grained token must allow gated repositories.`;
}

/** What the server says, in one line: nothing of it is trusted. */
function says({ text }: Refusal): string {
  const line = text.replace(/[\p{Cc}\s]+/gu, " ").trim();
  const shown = line.startsWith("<") ? "" : line.slice(0, 200);
  return shown === "" ? "" : `It says: ${JSON.stringify(shown)}`;
}
