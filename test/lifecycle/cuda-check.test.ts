// The command that checks a GPU (bench/gpu-check.js), tried on the emulator of one: what it writes, and that it sees what is wrong.
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { temporaryFolder } from "../checkpoint-writer.js";
import { OTHER_DEVICES } from "../kernels/run-op.js";
import { describeWhere } from "../where.js";

const root = temporaryFolder();

interface Part {
  readonly name: string;
  readonly rows: readonly { readonly ok?: boolean; readonly [column: string]: unknown }[];
  readonly notRun: readonly string[];
  readonly problems: readonly string[];
}

describeWhere(OTHER_DEVICES.includes("simt"), "the check of a GPU: QUIPU_TEST_DEVICES does not name simt")(
  "bench/gpu-check.js",
  () => {
    function check(name: string, args: readonly string[], env: Record<string, string> = {}) {
      const out = join(root, name);
      const { status, stdout, stderr } = spawnSync(
        process.execPath,
        ["bench/gpu-check.js", "--device", "simt", "--out", out, ...args],
        {
          ...{ encoding: "utf8", timeout: 280_000 },
          env: { ...process.env, QUIPU_SIMT_CHECKS: "none", ...env },
        },
      );
      const read = (ending: string) => readFileSync(join(out, `gpu-check.${ending}`), "utf8");
      return {
        ...{ status, stdout, stderr, markdown: () => read("md") },
        report: () => JSON.parse(read("json")) as { ok: boolean; device: string; gpu: object; parts: Part[] },
      };
    }

    test("all of it: every part has rows that are right, and what cannot run is said", () => {
      const { status, stdout, stderr, report, markdown } = check("all", ["--minutes", "4.5"]);
      expect({ status, stderr, said: status === 0 ? "" : stdout }).toEqual({ status: 0, stderr: "", said: "" });
      const { ok, device, gpu, parts } = report();
      expect({ ok, device }).toEqual({ ok: true, device: "simt" });
      expect(gpu).toMatchObject({ capability: "9.0", driver: "13.0" });
      expect(parts.map(({ name }) => name)).toEqual(["models", "kernels", "speed", "sanitizer"]);
      const [models, kernels, speed, sanitizer] = parts as [Part, Part, Part, Part];
      for (const { problems } of parts) expect(problems).toEqual([]);
      expect(models.rows.map(({ what, weights, beside }) => `${what} ${weights}, ${beside}`)).toEqual([
        "storyteller none, the CPU's greedy ids, f16 cache",
        ...["gqa-f32", "mqa-tied-bf16"].flatMap((name) => [
          ...["none", "q8", "q4"].map((weights) => `${name} ${weights}, float64`),
          `${name} none, golden, short prompt`,
        ]),
      ]);
      expect(kernels.rows).toEqual([{ suite: "test/kernels/rms-norm", ok: true }]);
      expect(speed.rows.map(({ shape, weights }) => `${shape} ${weights}`)).toEqual([
        "tiny none",
        "tiny q8",
        "tiny q4",
      ]);
      expect(sanitizer.notRun).toEqual(["compute-sanitizer: it looks at a GPU, not at the emulator of one"]);
      expect(markdown()).toContain("nothing here ran on a GPU");
      expect(markdown()).toMatch(/^\| gqa-f32 \| q4 \| float64 \| \d\.\de-\d+ \| 1\.0e-2 \| yes \|$/m);
    });

    test("a device that is lost on the way is wrong", () => {
      const { status, report } = check("lost", ["--only", "speed"], { QUIPU_SIMT_LOSE: "20" });
      expect(status).toBe(1);
      const { ok, parts } = report();
      expect(ok).toBe(false);
      expect(parts[0]!.problems).toEqual([expect.stringContaining("ERR_DEVICE_LOST")]);
    });

    test("what is not done in time is wrong", () => {
      const { status, report } = check("late", ["--only", "models", "--minutes", "0.005"]);
      expect(status).toBe(1);
      expect(report().parts[0]!.problems).toEqual(["not done within 0 s"]);
    });

    test("exit status 6 without a GPU, and what was tried", () => {
      expect(check("none", [], { QUIPU_SIMT_DEVICES: "0" })).toMatchObject({
        ...{ status: 6, stdout: "" },
        stderr: expect.stringMatching(/^gpu-check: simt is not available: the NVIDIA driver shows no GPU: .*\.\n$/),
      });
      expect(check("driver", [], { QUIPU_SIMT_DRIVER: "12040" })).toMatchObject({
        ...{ status: 6, stderr: expect.stringContaining("a newer driver is needed") },
      });
    });

    test.each([["--device", "tpu"], ["--shapes", "70b"], ["--only", "all"], ["--minutes", "soon"], ["--sure"]])(
      "usage: %s, exit status 2",
      (...args) => {
        expect(check("usage", args)).toMatchObject({
          status: 2,
          stdout: "",
          stderr: expect.stringMatching(/^gpu-check: .*\n$/),
        });
      },
    );
  },
);
