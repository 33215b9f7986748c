// Pages of the cache: who may read what, who may write where, and what goes first when memory is short.
import fc from "fast-check";
import { type PageLease, PagePool } from "#quipu/model/page-pool.js";

/** Ids of a page for each letter, then `rest` more. */
const text = (letters: string, rest = 1): Int32Array =>
  Int32Array.from({ length: 64 * letters.length + rest }, (_, i) => {
    const letter = letters.charCodeAt(Math.floor(i / 64)) || 0;
    return letter + 1000 * (i % 64); // two words of 16 bits an id
  });

const reserve = (pool: PagePool, letters: string, rest = 1, share = true) =>
  pool.reserve(text(letters, rest), 64 * letters.length + rest, share)!;

/** A sequence that comes, fills its pages and goes; tells how many of them were there. */
function visit(pool: PagePool, letters: string, share = true): number {
  const lease = reserve(pool, letters, 1, share);
  lease.publish(text(letters, 0));
  lease.release();
  return lease.cached / 64;
}

test("what was computed before is shared page by page, as far as the ids are the same", () => {
  const pool = new PagePool(20);
  expect(visit(pool, "abc")).toBe(0);
  const cached = ["abc", "abcd", "abx", "ab", "a", "xbc", "bc"].map((letters) => reserve(pool, letters).cached / 64);
  expect(cached).toEqual([3, 3, 2, 2, 1, 0, 0]);
});

test("the last id of a prompt is computed again", () => {
  const pool = new PagePool(8);
  visit(pool, "ab");
  expect([reserve(pool, "ab", 0).cached, reserve(pool, "a", 63).cached]).toEqual([64, 64]);
});

test("pages of a sequence that runs are shared as they are published, and only what is full", () => {
  const pool = new PagePool(12);
  const first = reserve(pool, "abc");
  first.publish(text("ab", 63));
  const second = reserve(pool, "abc");
  expect(second.cached).toBe(128);
  expect([...second.pages.slice(0, 2)]).toEqual([...first.pages.slice(0, 2)]);
  expect(pool.counts()).toEqual({ used: 6, shared: 2, cached: 0, free: 6 });
  first.release();
  first.release(); // a second time it gives back nothing
  expect(pool.counts()).toEqual({ used: 4, shared: 0, cached: 0, free: 8 });
});

test("who computes the same at once keeps its own pages, and what follows is found all the same", () => {
  const pool = new PagePool(12);
  const [first, second] = [reserve(pool, "ab"), reserve(pool, "abc")];
  first.publish(text("ab", 0));
  second.publish(text("abc", 0));
  const third = reserve(pool, "abc");
  expect([...third.pages.slice(0, 3)]).toEqual([...first.pages.slice(0, 2), second.pages[2]]);
});

test("a sequence that does not share reads nothing and leaves nothing", () => {
  const pool = new PagePool(8);
  visit(pool, "ab", false);
  expect(pool.counts()).toEqual({ used: 0, shared: 0, cached: 0, free: 8 });
  expect(visit(pool, "ab")).toBe(0);
  expect(reserve(pool, "ab", 1, false).cached).toBe(0);
});

test("the least recently used goes first, its end before its beginning", () => {
  const pool = new PagePool(6);
  visit(pool, "ab");
  visit(pool, "cd");
  visit(pool, "ab"); // used again
  reserve(pool, "x", 60).release();
  expect(pool.counts()).toMatchObject({ cached: 4, free: 2 });
  const three = reserve(pool, "xy"); // takes one of them
  expect(["ab", "cd"].map((letters) => pool.reserve(text(letters), 1, true)!.cached / 64)).toEqual([2, 1]);
  three.release();
});

test("a beginning that goes takes what can be reached through it alone along", () => {
  const pool = new PagePool(7);
  const first = reserve(pool, "a");
  const second = reserve(pool, "abc"); // computes the same beginning at once
  first.publish(text("a", 0));
  second.publish(text("abc", 0)); // its b hangs below the first one's a
  first.release();
  reserve(pool, "xy"); // takes the free pages, and a
  expect(pool.counts()).toEqual({ used: 7, shared: 0, cached: 0, free: 0 });
  second.release(); // nobody can find its pages any more
  expect(pool.counts()).toMatchObject({ cached: 0, free: 4 });
  expect(reserve(pool, "abc").cached).toBe(0);
});

test("memory that was touched is used again before memory that never was", () => {
  const pool = new PagePool(100);
  const touched = new Set<number>();
  for (let i = 0; i < 50; i++) {
    const lease = reserve(pool, "abc", 1, false);
    for (const page of lease.pages) touched.add(page);
    lease.release();
  }
  expect(touched.size).toBe(4);
});

test("any sequences: no page is written by two, read with other ids than it was written for, or lost", () => {
  interface Live {
    readonly letters: string;
    readonly lease: PageLease;
  }
  const PAGES = 12;
  const letters = fc.string({ unit: fc.constantFrom("a", "b"), maxLength: 5 });
  const step = fc.oneof(
    fc.record({ do: fc.constant("come" as const), letters, more: fc.nat(3), share: fc.boolean() }),
    fc.record({ do: fc.constantFrom("fill" as const, "go" as const), which: fc.nat(9), pages: fc.nat(5) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const pool = new PagePool(PAGES);
      const live: Live[] = [];
      const contents = new Map<number, string>(); // of the pages that were filled: all letters up to their end
      for (const step of steps) {
        if (step.do === "come") {
          const needed = step.letters.length + 1 + step.more;
          const lease = pool.reserve(text(step.letters), 64 * needed, step.share);
          const { cached, free } = pool.counts();
          if (lease === undefined) {
            expect(needed).toBeGreaterThan(cached + free);
            continue;
          }
          const shared = lease.cached / 64;
          expect(lease.pages).toHaveLength(needed);
          for (let block = 0; block < shared; block++) {
            expect(contents.get(lease.pages[block]!)).toBe(step.letters.slice(0, block + 1));
          }
          const others = new Set(live.flatMap(({ lease }) => [...lease.pages]));
          for (const page of lease.pages.slice(shared)) {
            expect(others.has(page)).toBe(false);
            contents.delete(page);
          }
          live.push({ letters: step.letters, lease });
        } else if (live.length > 0) {
          const { letters, lease } = live[step.which % live.length]!;
          if (step.do === "go") {
            live.splice(step.which % live.length, 1);
            lease.release();
          } else {
            const filled = letters.slice(0, step.pages);
            for (let block = lease.cached / 64; block < filled.length; block++) {
              contents.set(lease.pages[block]!, letters.slice(0, block + 1));
            }
            lease.publish(text(filled, 5));
          }
        }
        const holders = new Map<number, number>();
        for (const page of live.flatMap(({ lease }) => [...lease.pages])) {
          holders.set(page, (holders.get(page) ?? 0) + 1);
        }
        const { used, shared, cached, free } = pool.counts();
        expect([used, shared]).toEqual([holders.size, [...holders.values()].filter((count) => count > 1).length]);
        expect(used + cached + free).toBe(PAGES);
      }
    }),
    { numRuns: process.env.QUIPU_EXHAUSTIVE ? 5000 : 1000 },
  );
});
