// Text from ids as they come: a character is given out when all its bytes are there, never in parts.

export interface StreamDecoder {
  /** The text that is whole with this id. */
  push(id: number): string;
  /** What is left: U+FFFD for bytes that never became a character. */
  end(): string;
}

/** @param bytesOf the bytes of an id; none for one that has no text. */
export function makeStreamDecoder(bytesOf: (id: number) => Uint8Array): StreamDecoder {
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  return {
    push: (id) => decoder.decode(bytesOf(id), { stream: true }),
    end: () => decoder.decode(),
  };
}
