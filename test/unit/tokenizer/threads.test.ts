// Batches, streams and whole texts of one tokenizer, on several threads at once: each gives what it gives alone.
import { loadTokenizer } from "#quipu/tokenizer/load-tokenizer.js";

const tokenizer = await loadTokenizer("models/storyteller");

/** Words of many lengths, some of them in every text. */
function someText(seed: number, words: number): string {
  let state = seed >>> 0;
  const draw = (below: number) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  return Array.from({ length: words }, () => draw(draw(2) > 0 ? 200 : 2 ** 31).toString(36)).join(" ");
}

const texts = Array.from({ length: 60 }, (_, i) => someText(i, 10 + 40 * (i % 7)));
const joined = async (stream: AsyncIterable<Int32Array>) => {
  const ids: number[] = [];
  for await (const part of stream) ids.push(...part);
  return ids;
};

test("at once as one by one", async () => {
  const alone = texts.map((text) => [...tokenizer.encode(text)]);
  const long = someText(99, 20_000);
  const whole = [...tokenizer.encode(long)];
  const chunks = Array.from({ length: 40 }, (_, i) => long.slice((i * long.length) / 40, ((i + 1) * long.length) / 40));
  const batch = async (threads: number) => (await tokenizer.encodeBatch(texts, { threads })).map((ids) => [...ids]);
  const stream = () => joined(tokenizer.encodeStream(chunks));
  const [two, three, first, second, atOnce, counted] = await Promise.all([
    batch(2),
    batch(3),
    stream(),
    stream(),
    tokenizer.encodeAsync(long),
    tokenizer.countAsync(long),
  ]);
  expect(two).toEqual(alone);
  expect(three).toEqual(alone);
  expect(first).toEqual(whole);
  expect(second).toEqual(whole);
  expect([...atOnce]).toEqual(whole);
  expect(counted).toBe(whole.length);
});
