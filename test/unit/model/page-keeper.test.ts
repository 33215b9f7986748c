// Keepers of pages: what a conversation finds of its own, to the last id, and what of it gives way to others.
import fc from "fast-check";
import { PageKeeper, type PageLease, PagePool } from "#quipu/model/page-pool.js";

const ids = (length: number, seed = 0) => Int32Array.from({ length }, (_, i) => seed * 1000 + i);
/** The first `length` of some ids, then `more` others. */
const turned = (of: Int32Array, length: number, more: number, seed: number) =>
  Int32Array.of(...of.subarray(0, length), ...ids(more, seed));

/** A sequence that computes `prompt` and what follows it, up to `end`, and goes; tells how much of it was there. */
function turn(pool: PagePool, keeper: PageKeeper | undefined, prompt: Int32Array, end = prompt): number {
  const lease = pool.reserve(prompt, end.length + 1, true, keeper)!;
  lease.publish(end);
  lease.release();
  return lease.cached;
}

test("goes on after the last id that is there, wherever in a page that is", () => {
  const pool = new PagePool(20);
  const keeper = new PageKeeper();
  const all = ids(1000);
  const lengths = [10, 63, 64, 65, 127, 130, 400, 401];
  const cached = lengths.map((length, i) =>
    turn(pool, keeper, all.subarray(0, length), all.subarray(0, (lengths[i + 1] ?? 500) - 2)),
  );
  expect(cached).toEqual([0, 61, 62, 63, 125, 128, 398, 399]);
});

test("the last id of a prompt is computed, also where all of it is there", () => {
  const pool = new PagePool(8);
  const keeper = new PageKeeper();
  for (const length of [20, 64, 128, 130]) {
    turn(pool, keeper, ids(length, length), ids(length + 9, length));
    expect(turn(pool, keeper, ids(length, length))).toBe(length - 1);
  }
});

test("goes back to the first difference, in the last page or before it", () => {
  const pool = new PagePool(12);
  const keeper = new PageKeeper();
  const all = ids(300);
  turn(pool, keeper, all);
  expect(turn(pool, keeper, turned(all, 290, 20, 7))).toBe(290);
  expect(turn(pool, keeper, turned(all, 150, 20, 8))).toBe(150);
  expect(turn(pool, keeper, turned(all, 3, 20, 9))).toBe(3);
  expect(turn(pool, keeper, ids(30, 5))).toBe(0);
  expect(pool.counts()).toMatchObject({ used: 0, cached: 1 });
});

test("pages that others found their way into stay as they are", () => {
  const pool = new PagePool(20);
  const [one, two] = [new PageKeeper(), new PageKeeper()];
  const all = ids(300);
  turn(pool, one, all);
  expect(turn(pool, two, turned(all, 300, 10, 2))).toBe(256); // the last page is the first one's own
  expect(turn(pool, one, turned(all, 150, 20, 3))).toBe(128); // the second still has what follows
  expect(turn(pool, two, turned(all, 300, 12, 2))).toBe(310);
  const reader = pool.reserve(all, 301, true)!; // reads what is in the tree
  expect(reader.cached).toBe(256);
  expect(turn(pool, two, turned(all, 150, 20, 4))).toBe(128);
  reader.release();
});

test("the same ids behind others are not the same keys", () => {
  const pool = new PagePool(12);
  const keeper = new PageKeeper();
  const behind = (seed: number) => Int32Array.of(...ids(64, seed), ...ids(40, 9));
  turn(pool, keeper, behind(1));
  turn(pool, undefined, behind(2));
  expect(turn(pool, keeper, behind(2))).toBe(64);
  expect(turn(pool, keeper, Int32Array.of(...behind(2), 5))).toBe(104);
});

test("two beside one another keep what is theirs, where they have said the same too", () => {
  const pool = new PagePool(20);
  const keepers = [new PageKeeper(), new PageKeeper()];
  for (const keeper of keepers) turn(pool, keeper, ids(100));
  for (const keeper of keepers) expect(turn(pool, keeper, ids(110))).toBe(100);
});

test("gives way: its end first, then its beginning", () => {
  const pool = new PagePool(5);
  const keeper = new PageKeeper();
  turn(pool, keeper, ids(200), ids(250));
  expect(pool.counts()).toMatchObject({ cached: 4, free: 1 });
  const two = pool.reserve(ids(100, 9), 128, false)!;
  two.release();
  expect(pool.counts()).toMatchObject({ cached: 3, free: 2 });
  const lease = pool.reserve(ids(260), 300, true, keeper)!;
  expect(lease.cached).toBe(192);
  lease.release();
});

test("a keeper that is in a sequence is waited for", () => {
  const pool = new PagePool(8);
  const keeper = new PageKeeper();
  const first = pool.reserve(ids(10), 20, true, keeper)!;
  expect(pool.reserve(ids(10), 20, true, keeper)).toBeUndefined();
  first.publish(ids(10));
  first.release();
  expect(pool.reserve(ids(12), 20, true, keeper)!.cached).toBe(10);
});

test("one that is closed gives back what is its own, now or when its sequence goes", () => {
  const pool = new PagePool(8);
  const [idle, busy] = [new PageKeeper(), new PageKeeper()];
  turn(pool, idle, ids(70));
  const lease = pool.reserve(ids(70, 1), 80, true, busy)!;
  lease.publish(ids(70, 1));
  for (const keeper of [idle, busy]) pool.close(keeper);
  lease.release();
  expect(pool.counts()).toEqual({ used: 0, shared: 0, cached: 2, free: 6 });
});

test("a sequence that does not share reads nothing, and nothing of it is kept", () => {
  const pool = new PagePool(8);
  const keeper = new PageKeeper();
  turn(pool, keeper, ids(70));
  const lease = pool.reserve(ids(72), 80, false, keeper)!;
  expect(lease.cached).toBe(0);
  lease.publish(ids(72));
  lease.release();
  expect(turn(pool, keeper, ids(72))).toBe(64);
});

test("any conversations: what a sequence finds are the keys of its ids, and no page is written that another reads", () => {
  const PAGES = 10;
  const KEEPERS = 3;
  /** Few ids, long runs of each: prompts that differ anywhere. */
  const cuts = fc.array(fc.nat(3), { minLength: 1, maxLength: 5 });
  const step = fc.record({
    who: fc.nat(KEEPERS), // the last is nobody's keeper
    cuts,
    length: fc.integer({ min: 1, max: 300 }),
    filled: fc.nat(300),
    goes: fc.boolean(),
    closes: fc.nat(20),
  });
  const textOf = (cuts: readonly number[], length: number) =>
    Int32Array.from({ length }, (_, i) => cuts[Math.floor(i / 70) % cuts.length]! + 10 * (i % 3));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const pool = new PagePool(PAGES);
      const keepers = Array.from({ length: KEEPERS }, () => new PageKeeper());
      const memory = Array.from({ length: PAGES }, () => new Int32Array(64).fill(-1)); // the id whose keys are there
      const found = (lease: PageLease, end: number) =>
        Array.from({ length: end }, (_, i) => memory[lease.pages[i >> 6]!]![i & 63]!).join();
      const live: { readonly lease: PageLease; readonly filled: Int32Array; readonly who: number }[] = [];
      for (const { who, cuts, length, filled, goes, closes } of steps) {
        const prompt = textOf(cuts, length);
        const isHeld = who < KEEPERS && live.some((other) => other.who === who);
        const lease = pool.reserve(prompt, length + 5, true, keepers[who]);
        if (isHeld) expect(lease).toBeUndefined();
        if (lease !== undefined) {
          expect(lease.cached).toBeLessThan(length);
          expect(found(lease, lease.cached)).toBe(prompt.subarray(0, lease.cached).join());
          const end = Math.max(lease.cached, Math.min(filled, length));
          for (let i = lease.cached; i < end; i++) memory[lease.pages[i >> 6]!]![i & 63] = prompt[i]!;
          lease.publish(prompt.subarray(0, end));
          live.push({ lease, filled: prompt.subarray(0, end), who });
        }
        for (const { lease, filled } of live) expect(found(lease, filled.length)).toBe(filled.join());
        if (goes) live.shift()?.lease.release();
        if (closes < KEEPERS && !live.some((other) => other.who === closes)) {
          pool.close(keepers[closes]!);
          keepers[closes] = new PageKeeper();
        }
        const { used, cached, free } = pool.counts();
        expect(used).toBe(new Set(live.flatMap(({ lease }) => [...lease.pages])).size);
        expect(used + cached + free).toBe(PAGES);
      }
      for (const { lease } of live) lease.release();
      for (const keeper of keepers) pool.close(keeper);
      expect(pool.counts().used).toBe(0);
      const all = pool.reserve(ids(1), 64 * PAGES, false)!; // none is lost
      expect(new Set(all.pages).size).toBe(PAGES);
    }),
    { numRuns: process.env.QUIPU_EXHAUSTIVE ? 5000 : 1000 },
  );
});
