// Keeps what the documents show of the command line equal to what it prints. A block
//
//     ```console
//     $ npx quipu …
//     its output
//     ```
//
// of README.md and docs/cli.md is run by bash and compared; `--write` puts the output in. Commands on a folder
// path/to/SmolLM2-135M-Instruct use build/models/smollm2 and are left alone where that is not there.
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const write = process.argv.includes("--write");
const SHOWN = "path/to/SmolLM2-135M-Instruct";
const HERE = join(root, "build/models/smollm2");

function outputOf(command) {
  const quipu = `npx() { shift; "${process.execPath}" bin/quipu.js "$@"; }\n`;
  const script = quipu + command.replaceAll(SHOWN, HERE);
  const { stdout, stderr, status } = spawnSync("bash", ["-c", script], { cwd: root, encoding: "utf8", input: "" });
  if (status !== 0) throw new Error(`${command}: exit status ${status}: ${stderr}`);
  return (stdout + stderr).trimEnd();
}

let wrong = 0;
for (const file of ["README.md", "docs/cli.md"]) {
  const path = join(root, file);
  const text = readFileSync(path, "utf8");
  const mended = text.replace(/```console\n\$ (.*)\n([\s\S]*?)\n?```/g, (block, command, output) => {
    if (command.includes(SHOWN) && !existsSync(HERE)) return block;
    const now = outputOf(command);
    if (now === output) return block;
    wrong += 1;
    if (!write) console.error(`${file}: $ ${command}\nexpected:\n${output}\ngot:\n${now}\n`);
    return `\`\`\`console\n$ ${command}\n${now}\n\`\`\``;
  });
  if (write) writeFileSync(path, mended);
}
if (wrong > 0 && !write) {
  console.error("node scripts/documented-output.js --write mends the documents");
  process.exitCode = 1;
}
