// What an addon computes, as hashes: of the logits of a text, and of what is drawn after it, for every format of weights and KV cache.
import { spawnSync } from "node:child_process";
import { join } from "node:path";

const ROOT = process.cwd();
export const SOURCE_BUILD = join(ROOT, "build", "Release", "quipu.node");

export const prebuiltAddon = (platform: string) => join(ROOT, "build", "prebuilt", platform, "quipu.node");

const program = (ids: number) => `
  import { createHash } from "node:crypto";
  import { readFileSync } from "node:fs";
  const { loadModel } = await import(${JSON.stringify(join(ROOT, "dist/bundle/index.js"))});
  const text = readFileSync(${JSON.stringify(join(ROOT, "README.md"))}, "utf8");
  for (const quantize of [undefined, "q8", "q4"]) for (const kvCache of ["f32", "f16", "int8"]) {
    const model = await loadModel(undefined, { quantize, kvCache, cache: false, contextLength: 512 });
    const ids = model.tokenizer.encode(text).subarray(0, ${ids});
    const hash = createHash("sha256").update(new Uint8Array((await model.logits(ids)).buffer));
    for await (const event of model.generate(ids, { maxTokens: 20, seed: 7 })) if (event.type === "token") hash.update(String(event.id));
    console.log(quantize ?? "bf16", kvCache, ids.length, hash.digest("hex"));
    await model.dispose();
  }`;

/** A line for each of the nine pairs, of a text of so many ids. */
export function bitsOf(
  addon: string,
  target: string,
  ids: number,
  node: readonly string[] = [process.execPath],
): string {
  const [command, ...args] = [...node, "--input-type=module", "-e", program(ids)];
  const { status, stdout, stderr } = spawnSync(command!, args, {
    ...{ encoding: "utf8", env: { ...process.env, QUIPU_ADDON: addon, QUIPU_CPU: target } },
  });
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  expect(stdout.trim().split("\n").length).toBe(9);
  return stdout;
}
