import { SlotPool } from "#quipu/generate/slot-pool.js";

const settled = (promise: Promise<unknown>) =>
  Promise.race([promise.then(String, (error) => error.code), new Promise((resolve) => setImmediate(resolve, "waits"))]);

test("who waits is served in order, who aborts leaves the line", async () => {
  const pool = new SlotPool(2);
  expect(await Promise.all([pool.acquire(), pool.acquire()])).toEqual([0, 1]);
  const controller = new AbortController();
  const [first, second, third] = [pool.acquire(), pool.acquire(controller.signal), pool.acquire()];
  controller.abort();
  expect(await settled(second)).toBe("ERR_ABORTED");
  pool.release(1);
  expect([await settled(first), await settled(third)]).toEqual(["1", "waits"]);
  pool.release(0);
  expect(await settled(third)).toBe("0");
});

test("an aborted signal takes no slot", async () => {
  const pool = new SlotPool(1);
  expect(await settled(pool.acquire(AbortSignal.abort()))).toBe("ERR_ABORTED");
  expect(await pool.acquire()).toBe(0);
});

test("a closed pool sends everybody away", async () => {
  const pool = new SlotPool(1);
  await pool.acquire();
  const waiting = pool.acquire();
  pool.close();
  expect([await settled(waiting), await settled(pool.acquire())]).toEqual(["ERR_DISPOSED", "ERR_DISPOSED"]);
});
