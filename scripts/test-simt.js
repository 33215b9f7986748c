// Tests of the emulator native/simt, built by CMake into build/simt-tests: each detector finds the fault that a kernel is
// seeded with, and nothing in the kernel without it, whatever the schedule.
//
//   node scripts/test-simt.js [part]
import { spawnSync } from "node:child_process";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const out = join(root, "build", "simt-tests");

function run(command, args, stdio = "pipe") {
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: "utf8", stdio });
  if (status === 0) return;
  process.stderr.write(`${stdout ?? ""}${stderr ?? ""}\n${command} ${args.join(" ")}: exit status ${status}\n`);
  process.exit(1);
}

run("cmake", ["-S", join(root, "test", "native", "simt"), "-B", out]);
run("cmake", ["--build", out, "--parallel", "2"]);
run(join(out, "simt_tests"), process.argv.slice(2), "inherit");
