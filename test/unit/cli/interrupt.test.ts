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
