// Ctrl-C and SIGTERM: the first ends the work after the current token and keeps what was printed, a second ends the process.

const STATUS = { SIGINT: 130, SIGTERM: 143 } as const;

/** Milliseconds of grace for an orderly end; what takes longer (a blocked reader, a measurement) ends with the process. */
const GRACE = 250;

export class Interrupt {
  readonly #controller = new AbortController();
  #status: number | undefined;
  #diverted: (() => void) | undefined;

  constructor() {
    process.on("SIGINT", this.#onSignal);
    process.on("SIGTERM", this.#onSignal);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** The exit status that the signal asks for; undefined where none came. */
  get status(): number | undefined {
    return this.#status;
  }

  /** Has Ctrl-C call `handler` in place of ending the work, until what this returns is called. */
  divert(handler: () => void): () => void {
    this.#diverted = handler;
    return () => {
      if (this.#diverted === handler) this.#diverted = undefined;
    };
  }

  /** Lets the process end by itself. */
  release(): void {
    process.off("SIGINT", this.#onSignal);
    process.off("SIGTERM", this.#onSignal);
  }

  readonly #onSignal = (signal: "SIGINT" | "SIGTERM") => {
    if (signal === "SIGINT" && this.#status === undefined && this.#diverted !== undefined) return this.#diverted();
    if (this.#status !== undefined) process.exit(this.#status);
    const status = STATUS[signal];
    this.#status = status;
    this.#controller.abort();
    setTimeout(() => process.exit(status), GRACE).unref();
  };
}
