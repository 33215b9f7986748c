// The tests of test/native: how threads share out a run, under a scheduler that may delay any of them at any step, in
// machines that are modelled, and on real threads; prepared files. Built by CMake into build/native-tests.
//
//   node scripts/test-threads.js [schedules] [rounds]
//   node scripts/test-threads.js --tsan               the real threads under ThreadSanitizer
import { spawnSync } from "node:child_process";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const tsan = process.argv.includes("--tsan");
const counts = process.argv.slice(2).filter((arg) => arg !== "--tsan");
const out = join(root, "build", tsan ? "native-tests-tsan" : "native-tests");

function run(command, args, env = {}) {
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: "utf8", env: { ...process.env, ...env } });
  if (status === 0) return stdout;
  process.stderr.write(`${stdout ?? ""}${stderr ?? ""}\n${command} ${args.join(" ")}: exit status ${status}\n`);
  process.exit(1);
}

run("cmake", ["-S", join(root, "test", "native"), "-B", out, `-DQUIPU_TSAN=${tsan ? "ON" : "OFF"}`]);
run("cmake", ["--build", out, "--parallel", "2"]);
// The scheduler's fibers are nothing that ThreadSanitizer knows: it looks at the real threads alone.
const args = tsan ? ["0", ...counts.slice(0, 1)] : counts;
process.stdout.write(run(join(out, "native_tests"), args, { TSAN_OPTIONS: "halt_on_error=1" }));
