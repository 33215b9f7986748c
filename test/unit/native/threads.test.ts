// What is tested without Node (test/native): how threads share out a run, in thousands of schedules that delay any thread at any
// step; prepared files.
import { spawnSync } from "node:child_process";

test("every task of every phase is done once, whatever the schedule", () => {
  const schedules = process.env.QUIPU_EXHAUSTIVE ? "60000" : "10000";
  const { status, stdout, stderr } = spawnSync(process.execPath, ["scripts/test-threads.js", schedules, "100"], {
    encoding: "utf8",
    timeout: 600_000,
  });
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  expect(stdout).toMatch(
    new RegExp(
      `^team: ${schedules} schedules\nteam size: [1-9]\\d+ machines\nprepared files: 105\nshares: [1-9]\\d+\nroofline: [1-9]\\d+ reads\nthreads: 5000 runs\n$`,
    ),
  );
}, 620_000);
