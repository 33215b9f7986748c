// Ctrl-C and SIGTERM: the first ends the work after the current token and keeps what was printed, a second ends the process.

const STATUS = { SIGINT: 130, SIGTERM: 143 } as const;

export type InterruptSignal = keyof typeof STATUS;

/** Milliseconds of grace for an orderly end; what takes longer (a blocked reader, a measurement) ends with the process. */
const GRACE = 250;

export class Interrupt {
  readonly #controller = new AbortController();
  #status: number | undefined;
  #diverted: { readonly handler: () => void; readonly signals: readonly InterruptSignal[] } | undefined;

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

  /**
   * Has Ctrl-C, or each of `signals`, call `handler` in place of ending the work, until what this returns is called. The process is to
   * end behind a SIGTERM all the same, with its status: one more signal ends it at once.
   */
  divert(handler: () => void, signals: readonly InterruptSignal[] = ["SIGINT"]): () => void {
    const diverted = { handler, signals };
    this.#diverted = diverted;
    return () => {
      if (this.#diverted === diverted) this.#diverted = undefined;
    };
  }

  /** Lets the process end by itself. */
  release(): void {
    process.off("SIGINT", this.#onSignal);
    process.off("SIGTERM", this.#onSignal);
  }

  readonly #onSignal = (signal: InterruptSignal) => {
    if (this.#status === undefined && this.#diverted?.signals.includes(signal)) {
      if (signal === "SIGTERM") this.#status = STATUS.SIGTERM;
      return this.#diverted.handler();
    }
    if (this.#status !== undefined) process.exit(this.#status);
    const status = STATUS[signal];
    this.#status = status;
    this.#controller.abort();
    setTimeout(() => process.exit(status), GRACE).unref();
  };
}
