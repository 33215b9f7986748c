// What a template can end with other than text.

/**
 * A template that cannot be parsed or rendered. `kind` is the class that Python raises (UndefinedError, TypeError, TemplateError by
 * raise_exception …) or one of ours: `Unsupported` for what we refuse by name, `LimitError` for the bounds of a rendering.
 */
export class JinjaError extends Error {
  readonly kind: string;
  /** The template's line, from 1; known once the error has left the template. */
  line: number | undefined;

  constructor(kind: string, message: string, line?: number) {
    super(message);
    this.name = "JinjaError";
    this.kind = kind;
    this.line = line;
  }
}

export function typeError(message: string): JinjaError {
  return new JinjaError("TypeError", message);
}

export function valueError(message: string): JinjaError {
  return new JinjaError("ValueError", message);
}

/** What Jinja2 would do and we refuse, so that no other text comes out silently. */
export function unsupported(message: string): JinjaError {
  return new JinjaError("Unsupported", message);
}
