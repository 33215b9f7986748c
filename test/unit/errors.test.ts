import { EXIT_CODES, isQuipuError, QuipuError } from "#quipu/index.js";

describe("QuipuError", () => {
  test("keeps code, message and cause", () => {
    const cause = new Error("disk");
    const error = new QuipuError("ERR_MODEL_INVALID", "config.json: expected an object, got an array", { cause });
    expect(error).toMatchObject({ name: "QuipuError", code: "ERR_MODEL_INVALID", cause });
    expect(error.message).toContain("config.json");
    expect(error).not.toHaveProperty("option");
    expect(new QuipuError("ERR_USAGE", "seed: no", { option: "seed" }).option).toBe("seed");
  });

  test("is recognised by its brand, also from another copy of the package", () => {
    expect(isQuipuError(new QuipuError("ERR_USAGE", "x"))).toBe(true);
    expect(isQuipuError({ [Symbol.for("quipu-llm.error")]: true, code: "ERR_USAGE" })).toBe(true);
    expect(isQuipuError(new Error("x"))).toBe(false);
    expect(isQuipuError(null)).toBe(false);
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    expect(isQuipuError(proxy)).toBe(false);
  });

  test("every code has an exit status of the documented table", () => {
    for (const status of Object.values(EXIT_CODES)) expect([1, 2, 3, 4, 5, 6, 130]).toContain(status);
  });
});
