// What lies in a file's place when it is not the file: known by its first bytes, and said with what to do.
import { QuipuError, type QuipuErrorCode } from "../errors.js";
import { readStart } from "./file.js";

/** How many of the first bytes are looked at. */
export const WRONG_FILE_BYTES = 512;

const begins = (...starts: readonly string[]) => {
  const all = starts.map((start) => Buffer.from(start, "latin1"));
  return (head: Buffer) => all.some((start) => head.subarray(0, start.length).equals(start));
};
const matches = (pattern: RegExp) => (head: Buffer) => pattern.test(head.toString("latin1"));

export const GGUF_HINT =
  "quipu reads safetensors: give the folder of the checkpoint that it was made from (on a hub, usually the repository of the same name without GGUF)";

const KINDS: readonly (readonly [is: (head: Buffer) => boolean, problem: string])[] = [
  [
    begins("version https://git-lfs.github.com/spec/", "version https://hawser.github.com/spec/"),
    "is a Git LFS pointer and not the file itself: run git lfs pull in its folder",
  ],
  [begins("# xet version"), "is a Git Xet pointer and not the file itself: run git xet pull in its folder"],
  [begins("GGUF"), `is a GGUF file. ${GGUF_HINT}`],
  [
    begins("PK\x03\x04", "\x80\x02", "\x80\x03", "\x80\x04", "\x80\x05"),
    "is a zip archive or a pickle, as torch.save writes: quipu reads safetensors. Fetch that form of the checkpoint",
  ],
  [begins("\x1f\x8b", "\x28\xb5\x2f\xfd", "\xfd7zXZ"), "is compressed: unpack it first"],
  [
    matches(/^[\s\u00ef\u00bb\u00bf]*<(!doctype|html|head|\?xml|!--)/i),
    "is a web page and not the file: a server sent it in its place (a log-in, an error). Fetch the file again",
  ],
  [
    matches(
      /^(Entry not found|Repository not found|Revision not found|Invalid username|Invalid credentials|Access to )/,
    ),
    "is a server's refusal and not the file. Fetch the file again, with access to it",
  ],
  [
    (head) => head.length >= 64 && head.every((byte) => byte === 0),
    "begins with nothing but zeros: its download is incomplete. Fetch it again",
  ],
];

/** What a file that begins with `head` is, if it is none that belongs into a checkpoint; it follows the file's name in a sentence. */
export function wrongFile(head: Uint8Array): string | undefined {
  if (head.length === 0) return "is empty: its download is incomplete. Fetch it again";
  const start = Buffer.from(head.buffer, head.byteOffset, Math.min(head.length, WRONG_FILE_BYTES));
  if (isSafetensors(start)) return undefined;
  return KINDS.find(([is]) => is(start))?.[1];
}

/** A length of 32 bits in 64, which may be any of the marks above, and '{'. */
function isSafetensors(head: Buffer): boolean {
  return head.length > 8 && head.readUInt32LE(4) === 0 && head[8] === 0x7b;
}

/** @throws {QuipuError} `code` where `bytes`, the file `name` or its beginning, are known to be something else. */
export function refuseWrongFile(bytes: Uint8Array, name: string, code: QuipuErrorCode): void {
  const problem = wrongFile(bytes);
  if (problem !== undefined) throw new QuipuError(code, `${name} ${problem}.`);
}

/**
 * Looks at a file that another reader will open: whether it is a regular file, can be read, and is what its name says.
 *
 * @returns whether it is there.
 * @throws {QuipuError} `code`
 */
export function checkFile(path: string, code: QuipuErrorCode): boolean {
  const head = readStart(path, WRONG_FILE_BYTES, code);
  if (head !== undefined) refuseWrongFile(head, path, code);
  return head !== undefined;
}
