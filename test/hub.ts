// What tests of pulls share: a cache of their own, a clock that only counts, contents that compress and repeat nowhere.
import { createHash } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, realpathSync, statSync } from "node:fs";
import { join } from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import type { Clock } from "#quipu/checkpoint/hub/clock.js";
import { pullWith } from "#quipu/checkpoint/hub/pull.js";
import type { PullOptions, PullResult } from "#quipu/index.js";
import { safetensorsBytes, TINY_CONFIG, tinyTensors } from "./checkpoint-writer.js";
import { HubServer, type ServedFile } from "./hub-server.js";

const VARIABLES = [
  ...["HF_ENDPOINT", "HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "XDG_CACHE_HOME", "HF_HUB_OFFLINE"],
  ...["TRANSFORMERS_OFFLINE", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_TOKEN_PATH", "HF_HUB_DISABLE_IMPLICIT_TOKEN"],
  ...["HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"],
];

/** An environment in which quipu asks this hub and nobody else; for this process, and for those that it starts. */
export function useHub(server: { readonly url: string }, root: string): { cache: string; env: Record<string, string> } {
  const home = mkdtempSync(join(root, "home-"));
  for (const name of VARIABLES) delete process.env[name];
  const env = { HF_ENDPOINT: server.url, HF_HOME: home, NO_PROXY: "127.0.0.1" };
  Object.assign(process.env, env);
  return { cache: join(home, "hub"), env };
}

/** Sleeps are over at once, and kept. */
export class CountingClock implements Clock {
  readonly sleeps: number[] = [];
  #now = Date.UTC(2026, 0, 1);

  now(): number {
    return this.#now;
  }

  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    this.sleeps.push(ms);
    this.#now += ms;
    await turn();
    signal?.throwIfAborted();
  }
}

/** Bytes that are the same in every run, and nowhere twice. */
export function noise(length: number, seed = "x"): Buffer {
  const chunks: Buffer[] = [];
  for (let i = 0; i * 32 < length; i++) chunks.push(createHash("sha256").update(`${seed} ${i}`).digest());
  return Buffer.concat(chunks).subarray(0, length);
}

/** A model that loads, without a tokenizer, and what published ones have beside it. */
export function tinyModelFiles(): ServedFile[] {
  return [
    { path: ".gitattributes", bytes: Buffer.from("*.safetensors filter=lfs\n") },
    { path: "README.md", bytes: Buffer.from("# tiny\n") },
    { path: "config.json", bytes: Buffer.from(JSON.stringify(TINY_CONFIG)) },
    { path: "model.safetensors", bytes: safetensorsBytes(tinyTensors()) },
    { path: "pytorch_model.bin", bytes: noise(5000, "pickle") },
  ];
}

/** Small parts, and no waiting. */
export function pull(repo: string, options: PullOptions = {}, clock: Clock = new CountingClock()): Promise<PullResult> {
  return pullWith({ clock, partBytes: 1000, silenceMs: 20_000 }, repo, options);
}

/** Names below a folder, links followed, with the SHA-256 of their contents. */
export function contentsOf(folder: string, under = ""): Record<string, string> {
  return Object.fromEntries(
    readdirSync(join(folder, under))
      .sort()
      .flatMap((name) => {
        const path = join(folder, under, name);
        if (statSync(path).isDirectory()) return Object.entries(contentsOf(folder, join(under, name)));
        return [
          [
            join(under, name),
            createHash("sha256")
              .update(readFileSync(realpathSync(path)))
              .digest("hex"),
          ],
        ];
      }),
  );
}

export function expectedContents(files: readonly ServedFile[]): Record<string, string> {
  return Object.fromEntries(
    [...files]
      .sort((a, b) => (a.path < b.path ? -1 : 1))
      .map(({ path, bytes }) => [path, createHash("sha256").update(bytes).digest("hex")]),
  );
}

export { HubServer, type ServedFile };
