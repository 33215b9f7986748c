// log.jsonl of a run: a line for each event, in the order in which they came. What came after the checkpoint that a run goes on from
// is taken out, as it comes again.
import { type FileHandle, open, readFile } from "node:fs/promises";
import { isJsonObject } from "../checkpoint/json.js";
import { replaceFile } from "../machine/replace-file.js";
import { writeFailure } from "../machine/write-failure.js";
import type { TrainingEvent } from "./events.js";

export class TrainingLog {
  readonly #path: string;
  readonly #file: FileHandle;

  private constructor(path: string, file: FileHandle) {
    this.#path = path;
    this.#file = file;
  }

  /** @param step the last whose events stay. @throws {QuipuError} ERR_WRITE */
  static async open(path: string, step: number): Promise<TrainingLog> {
    try {
      const lines = (await readLog(path)).filter((event) => event.step <= step && !isOfMean(event));
      await replaceFile(path, lines.map((event) => `${JSON.stringify(event)}\n`).join(""));
      return new TrainingLog(path, await open(path, "a"));
    } catch (cause) {
      throw writeFailure(path, cause);
    }
  }

  async write(event: LoggedEvent): Promise<void> {
    try {
      await this.#file.appendFile(`${JSON.stringify(event)}\n`);
    } catch (cause) {
      throw writeFailure(this.#path, cause);
    }
  }

  async close(): Promise<void> {
    await this.#file.close();
  }
}

/** What is measured when a run is over, also where it is over once more. */
function isOfMean(event: LoggedEvent): boolean {
  return event.type === "evaluation" && event.averaged === true;
}

export type LoggedEvent = Exclude<TrainingEvent, { type: "start" | "end" }>;

/** The events of a log; none where there is none. A line that a killed process has left in part is passed over. */
export async function readLog(path: string): Promise<LoggedEvent[]> {
  const text = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return "";
    throw error;
  });
  return text.split("\n").flatMap((line): LoggedEvent[] => {
    try {
      const event: unknown = JSON.parse(line);
      return isJsonObject(event) && typeof event.step === "number" ? [event as unknown as LoggedEvent] : [];
    } catch {
      return [];
    }
  });
}
