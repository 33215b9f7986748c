// Checkpoint folders for these tests, made of the embedded storyteller.
import { copyFileSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { JsonObject } from "#quipu/checkpoint/json.js";
import { ROOT } from "./run-cli.js";

const STORYTELLER = join(ROOT, "models/storyteller");

/** A storyteller in `dir` with some of its configuration changed; files can be taken out or put in afterwards. */
export function alteredStoryteller(dir: string, config: JsonObject = {}, generation: JsonObject = {}): string {
  mkdirSync(dir, { recursive: true });
  for (const name of readdirSync(STORYTELLER)) {
    if (name === "model.safetensors") symlinkSync(join(STORYTELLER, name), join(dir, name));
    else copyFileSync(join(STORYTELLER, name), join(dir, name));
  }
  alterJson(join(dir, "config.json"), config);
  alterJson(join(dir, "generation_config.json"), generation);
  return dir;
}

export function alterJson(file: string, changes: JsonObject): void {
  writeFileSync(file, JSON.stringify({ ...JSON.parse(readFileSync(file, "utf8")), ...changes }));
}
