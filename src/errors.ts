// Every failure that quipu knows by name. The native side reports the same codes (native/core/error.h).

/**
 * What went wrong, stable across versions. The exit status that the command line gives for each is in {@link EXIT_CODES}.
 */
export type QuipuErrorCode =
  | "ERR_USAGE"
  | "ERR_MODEL_NOT_FOUND"
  | "ERR_MODEL_INVALID"
  | "ERR_MODEL_UNSUPPORTED"
  | "ERR_TOKENIZER_INVALID"
  | "ERR_PULL"
  | "ERR_CHAT_TEMPLATE"
  | "ERR_NOT_A_NUMBER"
  | "ERR_ALL_FORBIDDEN"
  | "ERR_CONTEXT_OVERFLOW"
  | "ERR_BUSY"
  | "ERR_OUT_OF_MEMORY"
  | "ERR_DEVICE_UNAVAILABLE"
  | "ERR_DEVICE_LOST"
  | "ERR_ADDON"
  | "ERR_WRITE"
  | "ERR_ABORTED"
  | "ERR_DISPOSED"
  | "ERR_INTERNAL";

/** The process exit status for each code (docs/cli.md, "Exit codes"). */
export const EXIT_CODES: Readonly<Record<QuipuErrorCode, number>> = {
  ERR_USAGE: 2,
  ERR_MODEL_NOT_FOUND: 3,
  ERR_MODEL_INVALID: 3,
  ERR_MODEL_UNSUPPORTED: 3,
  ERR_TOKENIZER_INVALID: 3,
  ERR_PULL: 3,
  ERR_CHAT_TEMPLATE: 3,
  ERR_NOT_A_NUMBER: 3,
  ERR_ALL_FORBIDDEN: 2,
  ERR_CONTEXT_OVERFLOW: 4,
  ERR_BUSY: 1,
  ERR_OUT_OF_MEMORY: 5,
  ERR_DEVICE_UNAVAILABLE: 6,
  ERR_DEVICE_LOST: 6,
  ERR_ADDON: 6,
  ERR_WRITE: 1,
  ERR_ABORTED: 130,
  ERR_DISPOSED: 1,
  ERR_INTERNAL: 1,
};

const BRAND: unique symbol = Symbol.for("quipu-llm.error") as never;

/** Values of options with which an error would not have been, each by itself. */
export type Fitting = Readonly<Record<string, string | number | boolean>>;

/**
 * The sentence that says what fits, at the end of an error's message.
 *
 * @param words how an option with a value is called; default: as the library has it.
 */
export function fittingSentence(
  fitting: Fitting,
  words: (option: string, value: Fitting[string]) => string = (option, value) => `${option} ${value}`,
): string {
  return `What fits: ${Object.entries(fitting)
    .map(([option, value]) => words(option, value))
    .join(", or ")}.`;
}

interface QuipuErrorOptions {
  readonly cause?: unknown;
  readonly option?: string | undefined;
  readonly repo?: string | undefined;
  readonly fitting?: Fitting;
}

/**
 * An error with a stable `code`. The message says what failed, what was expected and got, and what to do next.
 * Recognise it with {@link isQuipuError}: the brand survives several copies of the package in one process.
 */
export class QuipuError extends Error {
  readonly code: QuipuErrorCode;
  /** The argument or option that is wrong, or that would help, by its name in the library: "contextLength". */
  declare readonly option?: string;
  /** What `pullModel` would fetch, where a model is not in the hub's cache, or in part: "org/name@revision". */
  declare readonly repo?: string;
  /** Of ERR_OUT_OF_MEMORY: what would fit, by option; the message says it too. Without it nothing does. */
  declare readonly fitting?: Fitting;
  readonly [BRAND] = true;

  /** `option`: by default the first that is `fitting`. */
  constructor(code: QuipuErrorCode, message: string, { option, repo, fitting = {}, ...rest }: QuipuErrorOptions = {}) {
    const [first] = Object.keys(fitting);
    super(first === undefined ? message : `${message} ${fittingSentence(fitting)}`, rest);
    this.name = "QuipuError";
    this.code = code;
    const about = option ?? first;
    if (about !== undefined) this.option = about;
    if (repo !== undefined) this.repo = repo;
    if (first !== undefined) this.fitting = fitting;
  }
}

/** The error of work that `signal` ended. */
export function abortedError(signal: AbortSignal): QuipuError {
  return new QuipuError("ERR_ABORTED", "the work was aborted", { cause: signal.reason });
}

/** Whether `value` is an error made by quipu, from this or another copy of the package. Never throws. */
export function isQuipuError(value: unknown): value is QuipuError {
  try {
    return typeof value === "object" && value !== null && BRAND in value;
  } catch {
    return false; // a proxy
  }
}
