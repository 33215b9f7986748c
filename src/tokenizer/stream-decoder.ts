// Text from ids as they come: a character is given out when all its bytes are there, never in parts.

export interface StreamDecoder {
  /** The text that is whole with this id. */
  push(id: number): string;
  /** What is left: U+FFFD for bytes that never became a character. */
  end(): string;
}

/** What goes at the start of a text: as many of a character, if it begins with so many. */
export interface Stripping {
  readonly text: string;
  readonly most: number;
  /** Tokens are first ones as long as there is no text. */
  readonly untilText: boolean;
}

/** @param bytesOf the bytes of an id, or of a first one; undefined for one that has no text. */
export function makeStreamDecoder(
  bytesOf: (id: number, first: boolean) => Uint8Array | undefined,
  stripping: Stripping = { text: "", most: 0, untilText: false },
): StreamDecoder {
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  let isFirst = true;
  let left = stripping.most;
  const stripped = (text: string): string => {
    let rest = text;
    while (left > 0 && rest.startsWith(stripping.text)) {
      rest = rest.slice(stripping.text.length);
      left -= 1;
    }
    if (rest !== "") left = 0;
    return rest;
  };
  return {
    push: (id) => {
      const bytes = bytesOf(id, isFirst);
      if (bytes === undefined) return "";
      isFirst &&= stripping.untilText && bytes.length === 0;
      return stripped(decoder.decode(bytes, { stream: true }));
    },
    end: () => stripped(decoder.decode()),
  };
}
