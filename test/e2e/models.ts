// Checkpoint folders for these tests, made of the embedded storyteller.
import {
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import type { JsonObject } from "#quipu/checkpoint/json.js";
import { parseConfig } from "#quipu/model/config.js";
import { expectedTensors } from "#quipu/model/tensors.js";
import { safetensorsBytes } from "../checkpoint-writer.js";
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

/** Puts weights into `dir` that are a hole of a file: as many bytes as `config` asks for, all zero, none of them stored. */
export function writeHollowWeights(dir: string, config: JsonObject): void {
  let end = 0;
  const header = Object.fromEntries(
    expectedTensors(parseConfig(config)).map(({ name, shape }) => {
      const start = end;
      end += shape.reduce((product, dim) => product * dim, 4);
      return [name, { dtype: "F32", shape, data_offsets: [start, end] }];
    }),
  );
  const file = join(dir, "model.safetensors");
  rmSync(file, { force: true });
  const start = safetensorsBytes({}, header);
  writeFileSync(file, start);
  truncateSync(file, start.length + end);
}

export function alterJson(file: string, changes: JsonObject): void {
  writeFileSync(file, JSON.stringify({ ...JSON.parse(readFileSync(file, "utf8")), ...changes }));
}
