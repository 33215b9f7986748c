// Text from ids as they come: a character is given out when all its bytes are there, never in parts.

const REPLACEMENT = Buffer.from("\ufffd");
const OPEN = -1;

type Range = readonly [low: number, high: number];
/** What goes on with a character, and its second byte where the first narrows that (Unicode 17, table 3-7). */
const ANY: Range = [0x80, 0xbf];
const SECOND = new Map<number, Range>([
  [0xe0, [0xa0, 0xbf]],
  [0xed, [0x80, 0x9f]],
  [0xf0, [0x90, 0xbf]],
  [0xf4, [0x80, 0x8f]],
]);

export interface StreamDecoder {
  /** The text that is whole with this id. */
  push(id: number): string;
  /** What is left: U+FFFD for bytes that never became a character, as in what push gave. */
  end(): string;
}

/** What goes at the start of a text: as many of a character, if it begins with so many. */
export interface Stripping {
  readonly text: string;
  readonly most: number;
  /** Tokens are first ones as long as there is no text. */
  readonly untilText: boolean;
}

/** Of bytes as they come: `decode` gives the characters that are whole, `end` what is left. */
interface Utf8Decoder {
  decode(bytes: Uint8Array): string;
  end(): string;
}

/** As tokens that are bytes have it: the beginning of a character that does not go on is one U+FFFD (WHATWG Encoding, the same as
 * Unicode's "maximal subpart"). */
export function joiningDecoder(): Utf8Decoder {
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  return { decode: (bytes) => decoder.decode(bytes, { stream: true }), end: () => decoder.decode() };
}

/** As tokens that are text have it, some of which are a byte: each byte of no character is one U+FFFD (as in SentencePiece). */
export function eachByteDecoder(): Utf8Decoder {
  let open: Uint8Array = new Uint8Array(); // may become a character
  return {
    decode: (bytes) => {
      const all = open.length === 0 ? bytes : Buffer.concat([open, bytes]);
      const whole: number[] = []; // bytes of characters, and U+FFFD's for those of none
      let at = 0;
      while (at < all.length) {
        const length = characterAt(all, at);
        if (length === OPEN) break;
        whole.push(...(length === 0 ? REPLACEMENT : all.subarray(at, at + length)));
        at += Math.max(length, 1);
      }
      open = all.slice(at);
      return Buffer.from(whole).toString();
    },
    end: () => "\ufffd".repeat(open.length),
  };
}

/** How many bytes the character at `at` has: 0 for none, OPEN where more bytes may make one. */
function characterAt(bytes: Uint8Array, at: number): number {
  const first = bytes[at] as number;
  const length = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
  for (let i = 1; i < length; i++) {
    const next = bytes[at + i];
    if (next === undefined) return OPEN;
    const [low, high] = (i === 1 ? SECOND.get(first) : undefined) ?? ANY;
    if (next < low || next > high) return 0;
  }
  return length;
}

/** @param bytesOf the bytes of an id, or of a first one; undefined for one that has no text. */
export function makeStreamDecoder(
  bytesOf: (id: number, first: boolean) => Uint8Array | undefined,
  utf8: Utf8Decoder,
  stripping: Stripping = { text: "", most: 0, untilText: false },
): StreamDecoder {
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
      return stripped(utf8.decode(bytes));
    },
    end: () => stripped(utf8.end()),
  };
}
