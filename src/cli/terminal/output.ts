// stdout: written with backpressure; a reader that closes it (EPIPE) ends the program quietly.

/** The reader of stdout has closed it (`| head -1`). */
export class OutputClosedError extends Error {}

/** stdout cannot be written: a full disk, for example. */
export class OutputError extends Error {}

/** Whether somebody sits before it: stdin and stdout are terminals. */
export function isInteractive(): boolean {
  return process.stdin.isTTY === true && process.stdout.isTTY === true;
}

let failure: Error | undefined;

/** Keeps a write error of stdout until the next write: without a listener it would end the process. */
export function watchOutput(): void {
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    failure ??= failureOf(error);
  });
  process.stderr.on("error", () => {}); // there is nowhere left to report it
}

/** Writes all of `text` and waits until the reader has taken it. @throws {OutputClosedError | OutputError} */
export async function write(text: string): Promise<void> {
  if (failure !== undefined) throw failure;
  if (text === "") return;
  await new Promise<void>((resolve, reject) => {
    process.stdout.write(text, (error) => (error == null ? resolve() : reject(failureOf(error))));
  });
}

function failureOf(error: NodeJS.ErrnoException): Error {
  if (error.code === "EPIPE") return new OutputClosedError();
  return new OutputError(`stdout cannot be written: ${error.message}`, { cause: error });
}
