// stdout: written with backpressure, and a reader that has gone away ends the program quietly.

/** The reader of stdout has closed it (`| head -1`). */
export class OutputClosedError extends Error {}

let failure: Error | undefined;

/** Keeps a write error of stdout until the next write: without a listener it would end the process. */
export function watchOutput(): void {
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    failure ??= error.code === "EPIPE" ? new OutputClosedError() : error;
  });
  process.stderr.on("error", () => {}); // nobody is left to tell
}

/** Writes all of `text` and waits until the reader has taken it. @throws {OutputClosedError} or the system's error. */
export async function write(text: string): Promise<void> {
  if (failure !== undefined) throw failure;
  if (text === "") return;
  await new Promise<void>((resolve, reject) => {
    process.stdout.write(text, (error) => {
      if (error == null) return resolve();
      reject((error as NodeJS.ErrnoException).code === "EPIPE" ? new OutputClosedError() : error);
    });
  });
}
