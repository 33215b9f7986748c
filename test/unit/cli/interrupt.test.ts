import { jest } from "@jest/globals";
import { Interrupt } from "#quipu/cli/interrupt.js";

const exit = jest.spyOn(process, "exit").mockImplementation(() => undefined as never);
beforeEach(() => {
  jest.useFakeTimers();
  exit.mockClear();
});

test.each([
  ["SIGINT", "SIGINT", 130],
  ["SIGTERM", "SIGTERM", 143],
  ["SIGINT", "SIGTERM", 130],
] as const)("%s aborts the work, %s after it ends the process at once with %i", (first, second, status) => {
  const interrupt = new Interrupt();
  expect(interrupt.status).toBeUndefined();
  process.emit(first, first);
  expect(interrupt.signal.aborted).toBe(true);
  expect(interrupt.status).toBe(status);
  expect(exit).not.toHaveBeenCalled();
  process.emit(second, second);
  expect(exit).toHaveBeenCalledWith(status);
  interrupt.release();
});

test("SIGINT that is diverted ends nothing, and SIGTERM still does", () => {
  const interrupt = new Interrupt();
  const handled: string[] = [];
  const undivert = interrupt.divert(() => handled.push("first"));
  process.emit("SIGINT", "SIGINT");
  interrupt.divert(() => handled.push("second"));
  undivert(); // which is over already
  process.emit("SIGINT", "SIGINT");
  expect({ handled, status: interrupt.status }).toEqual({ handled: ["first", "second"], status: undefined });
  process.emit("SIGTERM", "SIGTERM");
  expect({ status: interrupt.status, aborted: interrupt.signal.aborted }).toEqual({ status: 143, aborted: true });
  process.emit("SIGINT", "SIGINT"); // a second signal ends the process, whoever wants it
  expect(exit).toHaveBeenCalledWith(143);
  expect(handled).toHaveLength(2);
  interrupt.release();
});

test("SIGTERM that is diverted has its status, and one more signal ends the process", () => {
  const interrupt = new Interrupt();
  const handler = jest.fn();
  interrupt.divert(handler, ["SIGINT", "SIGTERM"]);
  process.emit("SIGTERM", "SIGTERM");
  expect({ status: interrupt.status, aborted: interrupt.signal.aborted }).toEqual({ status: 143, aborted: false });
  jest.runAllTimers();
  expect(exit).not.toHaveBeenCalled();
  process.emit("SIGINT", "SIGINT");
  expect(exit).toHaveBeenCalledWith(143);
  expect(handler).toHaveBeenCalledTimes(1);
  interrupt.release();
});

test("what is no longer diverted ends the work", () => {
  const interrupt = new Interrupt();
  interrupt.divert(() => {})();
  process.emit("SIGINT", "SIGINT");
  expect(interrupt.status).toBe(130);
  interrupt.release();
});

test("work that does not end in a quarter of a second ends with the process", () => {
  const interrupt = new Interrupt();
  process.emit("SIGINT", "SIGINT");
  jest.advanceTimersByTime(249);
  expect(exit).not.toHaveBeenCalled();
  jest.advanceTimersByTime(1);
  expect(exit).toHaveBeenCalledWith(130);
  interrupt.release();
});

test("release() leaves signals to the system", () => {
  const interrupt = new Interrupt();
  const handled = process.listenerCount("SIGINT");
  interrupt.release();
  expect(process.listenerCount("SIGINT")).toBe(handled - 1);
});
