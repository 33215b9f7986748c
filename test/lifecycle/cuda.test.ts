// What becomes of a CUDA device that is not as it should be: on the emulator, whose environment says what is wrong with it (native/simt).
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { OTHER_DEVICES } from "../kernels/run-op.js";
import { testWhere } from "../where.js";

const root = process.cwd();
const onEmulator = testWhere(
  OTHER_DEVICES.includes("simt"),
  "CUDA devices that fail: QUIPU_TEST_DEVICES does not name simt",
);

/** Computes the first logit of a tiny model so many times, each on a device of its own, and prints it, or the error's code and message. */
function compute(times: number, env: Record<string, string>): string[] {
  const program = `
    const { logitsOf } = await import(${JSON.stringify(join(root, "build/test/model/run-model.js"))});
    const folder = ${JSON.stringify(join(root, "test/reference/tiny/gqa-f32"))};
    for (let i = 0; i < ${times}; i++) {
      const ids = Int32Array.from({ length: 5 }, (_, i) => i);
      try { console.log((await logitsOf(folder, ids, { device: "simt" }))[0]); }
      catch (error) { console.log(error.code, error.message); }
    }`;
  const { status, stdout } = spawnSync(process.execPath, ["--input-type=module", "-e", program], {
    ...{ cwd: root, encoding: "utf8", timeout: 250_000, env: { ...process.env, ...env } },
  });
  expect(status).toBe(0);
  return stdout.trim().split("\n");
}

onEmulator("lost in the middle of a run: an error with a code, and a new device goes on", () => {
  const [right] = compute(1, {});
  const [lost, next] = compute(2, { QUIPU_SIMT_LOSE: "20" });
  expect(lost).toMatch(/^ERR_DEVICE_LOST a run on the device failed: /);
  expect(next).toBe(right);
});

onEmulator("too little memory", () => {
  expect(compute(1, { QUIPU_SIMT_MEMORY: "65536" })).toEqual([
    expect.stringMatching(/^ERR_OUT_OF_MEMORY the device refused \d+ bytes of memory: /),
  ]);
});

onEmulator("a driver that is older than the build", () => {
  expect(compute(1, { QUIPU_SIMT_DRIVER: "12040" })).toEqual([
    "ERR_DEVICE_UNAVAILABLE the NVIDIA driver supports CUDA 12.4, this build needs 13.0: a newer driver is needed",
  ]);
});

onEmulator("a GPU that this build has no kernels for", () => {
  expect(compute(1, { QUIPU_SIMT_ARCH: "75" })).toEqual([
    "ERR_DEVICE_UNAVAILABLE this build has no kernels for a GPU of compute capability 7.5: " +
      "8.0 and newer can have them (npm run build:cuda -- 80 … in the package's folder)",
  ]);
});

onEmulator("no driver, and no GPU", () => {
  expect(compute(1, { QUIPU_SIMT_DRIVER: "0" })).toEqual([
    expect.stringMatching(/^ERR_DEVICE_UNAVAILABLE no NVIDIA driver answers/),
  ]);
  expect(compute(1, { QUIPU_SIMT_DEVICES: "0" })).toEqual([
    expect.stringMatching(/^ERR_DEVICE_UNAVAILABLE the NVIDIA driver shows no GPU/),
  ]);
});

onEmulator.each(["80", "86", "89", "120"])("with what an sm_%s has of shared memory: the same bits", (architecture) => {
  expect(compute(1, { QUIPU_SIMT_ARCH: architecture })).toEqual(compute(1, {}));
});
