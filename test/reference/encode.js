// Encodes documents for prove_tokenizer.py: reads (length, 1 for bytes and 0 for text, content) from stdin, writes (count, ids) to
// stdout; little-endian 32-bit words. Ids must decode to the content, unless the vocabulary lacks bytes ("lossy"). What cannot be
// done is said as a negative length and a message.
//
//   node test/reference/encode.js file <tokenizer.json | tokenizer.model> [lossy]
//   node test/reference/encode.js encoding <cl100k_base | o200k_base | …>
import { readSync, writeSync } from "node:fs";
import { loadEncoding, loadTokenizer } from "../../dist/index.js";

const [kind, name, lossy] = process.argv.slice(2);
const tokenizer = kind === "file" ? await loadTokenizer(name) : await loadEncoding(name);
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

function idsOf(content, isBytes) {
  const ids = tokenizer.encode(isBytes ? content : decoder.decode(content));
  const back = tokenizer.decodeBytes(ids);
  if (!lossy && !content.equals(back))
    throw new Error(`does not decode to itself: ${JSON.stringify(content.toString("latin1"))}`);
  return ids;
}

for (;;) {
  const header = read(8);
  const content = read(header.readUInt32LE(0));
  try {
    const ids = idsOf(content, header.readUInt32LE(4) === 1);
    const count = Buffer.alloc(4);
    count.writeInt32LE(ids.length);
    write(Buffer.concat([count, Buffer.from(ids.buffer, ids.byteOffset, ids.byteLength)]));
  } catch (error) {
    const message = Buffer.from(String(error.message));
    const length = Buffer.alloc(4);
    length.writeInt32LE(-message.length);
    write(Buffer.concat([length, message]));
  }
}
