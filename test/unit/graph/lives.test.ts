import fc from "fast-check";
import { type Block, Lives } from "#quipu/graph/passes/lives.js";

const OPS = 37;

/** The lowest offset at which `block` shares no byte with those that live beside it. */
function lowestFree(block: Block, placed: readonly Block[]): number {
  const beside = placed.filter(({ first, last }) => first <= block.last && block.first <= last);
  const free = (offset: number) =>
    beside.every((other) => offset + block.bytes <= other.offset || other.offset + other.bytes <= offset);
  return Math.min(...[0, ...beside.map(({ offset, bytes }) => offset + bytes)].filter(free));
}

test("every block lies as low as it can, whatever lives beside it", () => {
  const lives = fc.tuple(fc.nat(OPS - 1), fc.nat(OPS - 1), fc.integer({ min: 0, max: 5 }));
  fc.assert(
    fc.property(fc.array(lives, { maxLength: 60 }), (list) => {
      const tree = new Lives(OPS);
      const placed: Block[] = [];
      for (const [a, b, units] of list) {
        const block = { first: Math.min(a, b), last: Math.max(a, b), bytes: 64 * units, offset: 0 };
        tree.place(block);
        expect(block.offset).toBe(units === 0 ? 0 : lowestFree(block, placed));
        if (units > 0) placed.push(block);
      }
    }),
    { numRuns: 1000 },
  );
});
