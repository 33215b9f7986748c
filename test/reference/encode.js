// Encodes documents for prove_tokenizer.py: reads (length, flags, content) from stdin, writes (count, ids, length, what they are
// decoded to) to stdout; little-endian 32-bit words. Flags: 1 for bytes, where content is text otherwise; 2 where special tokens
// are found; 4 for where each id begins in the decoded text (count, UTF-16 units), too. The ids of a stream that is cut anywhere must be the same. First it writes 0, once the tokenizer is loaded. What
// cannot be done is said as a negative length and a message.
//
//   node test/reference/encode.js file <tokenizer.json | tokenizer.model>
//   node test/reference/encode.js encoding <cl100k_base | o200k_base | …>
import { readSync, writeSync } from "node:fs";
import { loadEncoding, loadTokenizer } from "../../dist/index.js";

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

function read(length) {
  const bytes = Buffer.alloc(length);
  for (let done = 0; done < length; ) {
    const got = readSync(0, bytes, done, length - done, null);
    if (got === 0) process.exit(0);
    done += got;
  }
  return bytes;
}

function write(bytes) {
  for (let done = 0; done < bytes.length; ) done += writeSync(1, bytes, done);
}

const word = (value) => Buffer.from(Int32Array.of(value).buffer);

const words = (list) => [word(list.length), Buffer.from(list.buffer, list.byteOffset, list.byteLength)];

function writeError(error) {
  const message = Buffer.from(String(error.message));
  write(Buffer.concat([word(-message.length), message]));
}

let state = 1;
const random = (below) => {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return Math.floor((state / 2 ** 32) * below);
};

/** Long parts and short ones, some of nothing. */
function* cut(text) {
  for (let at = 0; at < text.length; ) {
    const end = at + random(random(2) === 0 ? 12 : text.length);
    yield text.slice(at, end);
    at = end;
  }
}

async function checkStream(tokenizer, text, ids, special) {
  let at = 0;
  for await (const part of tokenizer.encodeStream(cut(text), { special })) {
    for (const id of part)
      if (ids[at++] !== id) throw new Error(`a stream differs at id ${at - 1} of ${JSON.stringify(text)}`);
  }
  if (at !== ids.length) throw new Error(`a stream has ${at} ids and not ${ids.length}: ${JSON.stringify(text)}`);
}

async function answer(tokenizer, content, flags) {
  const text = flags & 1 ? content : decoder.decode(content);
  const special = (flags & 2) !== 0;
  const ids = tokenizer.encode(text, { special });
  await checkStream(tokenizer, text, ids, special);
  const back = tokenizer.decodeBytes(ids, { special: true });
  const said = [...words(ids), word(back.length), back];
  return flags & 4 ? [...said, ...words(tokenizer.decodeTokensWithOffsets(ids).offsets)] : said;
}

const [kind, name] = process.argv.slice(2);
try {
  const tokenizer = await (kind === "file" ? loadTokenizer(name) : loadEncoding(name));
  write(word(0));
  for (;;) {
    const header = read(8);
    const content = read(header.readUInt32LE(0));
    try {
      write(Buffer.concat(await answer(tokenizer, content, header.readUInt32LE(4))));
    } catch (error) {
      writeError(error);
    }
  }
} catch (error) {
  writeError(error);
}
