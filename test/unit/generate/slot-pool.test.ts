import { type Lease, SlotPool } from "#quipu/generate/slot-pool.js";

const nobody = () => "nobody";
const settled = (promise: Promise<Lease>) =>
  Promise.race([
    promise.then(
      ({ slot }) => String(slot),
      (error) => error.code,
    ),
    new Promise((resolve) => setImmediate(resolve, "waits")),
  ]);

test("who waits is served in order, who aborts leaves the line", async () => {
  const pool = new SlotPool(2, 0);
  const [zero, one] = await Promise.all([pool.acquire(nobody), pool.acquire(nobody)]);
  expect([zero.slot, one.slot]).toEqual([0, 1]);
  const controller = new AbortController();
  const waiting = [undefined, controller.signal, undefined].map((signal) => pool.acquire(nobody, signal));
  const [first, second, third] = waiting as [Promise<Lease>, Promise<Lease>, Promise<Lease>];
  controller.abort();
  expect(await settled(second)).toBe("ERR_ABORTED");
  one.release();
  one.release(); // a second time it gives back nothing
  expect([await settled(first), await settled(third)]).toEqual(["1", "waits"]);
  zero.release();
  expect(await settled(third)).toBe("0");
});

test("an aborted signal takes no slot", async () => {
  const pool = new SlotPool(1, 0);
  expect(await settled(pool.acquire(nobody, AbortSignal.abort()))).toBe("ERR_ABORTED");
  expect(await settled(pool.acquire(nobody))).toBe("0");
});

test("a closed pool rejects all waiters and every later acquire()", async () => {
  const pool = new SlotPool(1, 0);
  await pool.acquire(nobody);
  const waiting = pool.acquire(nobody);
  pool.close();
  expect([await settled(waiting), await settled(pool.acquire(nobody))]).toEqual(["ERR_DISPOSED", "ERR_DISPOSED"]);
});

describe("a wait where every holder is idle", () => {
  test("is refused, naming the holders, and harms nobody else", async () => {
    const pool = new SlotPool(2, 0);
    const [a, b] = await Promise.all([pool.acquire(() => "A"), pool.acquire(() => "B")]);
    const waiting = [pool.acquire(nobody), pool.acquire(nobody)];
    a.setIdle(true);
    await new Promise((resolve) => setTimeout(resolve, 10)); // longer than the pool's patience
    expect(await settled(waiting[0]!)).toBe("waits"); // B is at work
    b.setIdle(true);
    for (const each of waiting) {
      await expect(each).rejects.toMatchObject({ code: "ERR_BUSY", message: expect.stringMatching(/held by A; B,/) });
    }
    const later = pool.acquire(nobody);
    a.release();
    expect((await later).slot).toBe(a.slot);
  });

  test("begins anew with any sign of life", async () => {
    const pool = new SlotPool(1, 0);
    const lease = await pool.acquire(nobody);
    lease.setIdle(true);
    const waiting = pool.acquire(nobody);
    lease.setIdle(false);
    expect(await settled(waiting)).toBe("waits");
    lease.release();
    expect((await waiting).slot).toBe(0);
  });

  test("goes on where patience has no end", async () => {
    const pool = new SlotPool(1, Number.POSITIVE_INFINITY);
    const lease = await pool.acquire(nobody);
    lease.setIdle(true);
    const waiting = pool.acquire(nobody);
    expect(await settled(waiting)).toBe("waits");
    lease.release();
    expect((await waiting).slot).toBe(0);
  });
});
