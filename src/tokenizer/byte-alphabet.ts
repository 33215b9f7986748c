// The byte-level alphabet of GPT-2, in which tokenizer.json writes tokens: every byte is one character, printable ones
// themselves, the others moved to U+0100 and up (openai/gpt-2, encoder.py, bytes_to_unicode).

const PRINTABLE = (byte: number) =>
  (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || (byte >= 0xae && byte <= 0xff);

/** The character of each byte. */
export const CHARACTER_OF_BYTE: readonly string[] = alphabet();

const BYTE_OF_CODE = new Map(CHARACTER_OF_BYTE.map((character, byte) => [character.charCodeAt(0), byte]));

function alphabet(): string[] {
  let moved = 0x100;
  return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(PRINTABLE(byte) ? byte : moved++));
}

/** The bytes that `text` stands for; undefined where a character is not of the alphabet. */
export function bytesOfAlphabet(text: string): Uint8Array | undefined {
  const bytes: number[] = [];
  for (let i = 0; i < text.length; i++) {
    const byte = BYTE_OF_CODE.get(text.charCodeAt(i));
    if (byte === undefined) return undefined;
    bytes.push(byte);
  }
  return Uint8Array.from(bytes);
}

/** The UTF-8 bytes of a text, written in the alphabet. */
export function textInAlphabet(text: string): string {
  return Array.from(Buffer.from(text), (byte) => CHARACTER_OF_BYTE[byte]!).join("");
}
