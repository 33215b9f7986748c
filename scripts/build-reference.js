// Builds the reference device, which only tests use: quipu-reference.node beside build/Release/quipu.node. Nothing to do takes
// a second.
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { cmake } from "./cmake.js";

const build = join(dirname(dirname(fileURLToPath(import.meta.url))), "build");
const variables = { QUIPU_REFERENCE: "ON", QUIPU_OUTPUT: join(build, "Release") };
const { status, stdout, stderr } = cmake(join(build, "reference"), { target: "quipu-reference", variables });
if (status !== 0) {
  process.stderr.write(`${stdout ?? ""}${stderr ?? ""}`);
  process.exit(1);
}
