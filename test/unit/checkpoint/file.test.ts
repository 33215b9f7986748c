// What lies where a file should be: each kind is refused before it is read, by name and with the cause.
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { callNative } from "#quipu/addon/addon.js";
import { loadChatTemplate } from "#quipu/chat/template-files.js";
import { openCheckpoint } from "#quipu/checkpoint/checkpoint.js";
import { examine, readStart, readWhole } from "#quipu/checkpoint/file.js";
import { readJsonFile } from "#quipu/checkpoint/json.js";
import { checkFile, wrongFile } from "#quipu/checkpoint/wrong-file.js";
import { openDevice } from "#quipu/device/device.js";
import { readConfig } from "#quipu/model/config.js";
import { readGenerationConfig } from "#quipu/model/generation-config.js";
import { loadTokenizer } from "#quipu/tokenizer/load-tokenizer.js";
import { temporaryFolder, writeCheckpoint } from "../../checkpoint-writer.js";
import { testWhere } from "../../where.js";

const root = temporaryFolder();
let count = 0;
const place = () => join(root, `file-${count++}`);
const CODE = "ERR_MODEL_INVALID";

/** What is no file, made at a path; and what is said of it. */
const STRANGE: readonly (readonly [what: string, make: (path: string) => void, said: RegExp])[] = [
  ["a named pipe", (path) => execFileSync("mkfifo", [path]), /is a named pipe: expected a file/],
  ["a link to an endless device", (path) => symlinkSync("/dev/zero", path), /is a device: expected a file/],
  ["a folder", (path) => mkdirSync(path), /is a folder: expected a file/],
  ["a dangling link", (path) => symlinkSync("no/where", path), /is a link to no\/where, which does not exist/],
  ["a link to itself", (path) => symlinkSync(path, path), /is a link to .*, which leads back to itself/],
  ["what cannot be read", (path) => symlinkSync("/proc/self/mem", path), /cannot be read: EIO/],
];

describe.each(STRANGE)("%s", (_, make, said) => {
  const path = place();
  beforeAll(() => make(path));
  const refused = { code: CODE, message: expect.stringMatching(said) };

  test("is refused by every way to read a file, with the path", async () => {
    await expect(readWhole(path, 100, CODE)).rejects.toMatchObject(refused);
    await expect(readJsonFile(path, CODE)).rejects.toMatchObject(refused);
    expect(() => readStart(path, 100, CODE)).toThrow(expect.objectContaining(refused));
    expect(() => checkFile(path, CODE)).toThrow(expect.objectContaining({ message: expect.stringContaining(path) }));
  });

  test.each<[string, (dir: string) => Promise<unknown>]>([
    ["config.json", readConfig],
    ["model.safetensors", openCheckpoint],
    ["model.safetensors.index.json", openCheckpoint],
    ["generation_config.json", async (dir) => readGenerationConfig(dir, await readConfig(dir))],
    ["tokenizer.json", loadTokenizer],
    ["tokenizer.model", loadTokenizer],
    ["tokenizer_config.json", loadChatTemplate],
    ["chat_template.jinja", loadChatTemplate],
  ])("in the place of %s it is refused", async (name, read) => {
    const dir = place();
    writeCheckpoint(dir);
    for (const other of [name, ...(name === "config.json" ? [] : ["model.safetensors"])])
      rmSync(join(dir, other), { force: true });
    make(join(dir, name));
    await expect(read(dir)).rejects.toMatchObject({
      code: expect.stringMatching(/^ERR_(MODEL_INVALID|TOKENIZER_INVALID|CHAT_TEMPLATE)$/),
      message: expect.stringMatching(said),
    });
  });
});

test("native code refuses a pipe that has taken a file's place, and does not wait for it", async () => {
  const path = place();
  execFileSync("mkfifo", [path]);
  const device = openDevice({ threads: 1 });
  for (const mmap of [true, false]) {
    await expect(device.open(path, 0, { mmap })).rejects.toMatchObject({
      code: CODE,
      message: `${path}: expected a file`,
    });
  }
  await device.dispose();
  for (const format of ["tokenizer.json", "ranks"] as const) {
    expect(() => callNative((addon) => new addon.Vocabulary(format, path, null))).toThrow(
      expect.objectContaining({ code: "ERR_TOKENIZER_INVALID", message: `${path}: expected a file` }),
    );
  }
});

describe("regular files", () => {
  test("that are larger than expected are not read", async () => {
    const path = place();
    writeFileSync(path, "12345");
    expect((await readWhole(path, 5, CODE))?.toString()).toBe("12345");
    await expect(readWhole(path, 4, CODE)).rejects.toMatchObject({ message: `${path}: 5 bytes: expected at most 4` });
  });

  test("of a size that the system does not tell are read up to the limit", async () => {
    const status = await readWhole("/proc/self/status", 2 ** 20, CODE);
    expect(status?.toString()).toMatch(/^Name:/);
    await expect(readWhole("/proc/self/status", 100, CODE)).rejects.toMatchObject({
      message: expect.stringMatching(/more than 100 bytes/),
    });
  });

  test("that are longer than the system tells are read to their end", async () => {
    const child = spawn(process.execPath, ["-e", "process.stdin.resume()", "x".repeat(9000), "y"]);
    await once(child, "spawn");
    const path = `/proc/${child.pid}/cmdline`; // of size 0
    expect((await readWhole(path, 2 ** 20, CODE))?.toString()).toBe(`${child.spawnargs.join("\0")}\0`);
    await expect(readWhole(path, 9000, CODE)).rejects.toMatchObject({ message: `${path}: more than 9000 bytes` });
    child.stdin.end();
    await once(child, "close");
  });

  test("that are not there are undefined; a path that cannot be is an error with the cause", async () => {
    expect(await readWhole(place(), 5, CODE)).toBeUndefined();
    expect(examine(place(), CODE)).toEqual({ kind: "absent" });
    const file = place();
    writeFileSync(file, "");
    await expect(readWhole(join(file, "below"), 5, CODE)).rejects.toMatchObject({
      code: CODE,
      message: expect.stringMatching(/ENOTDIR/),
    });
    await expect(readWhole(join(root, "x".repeat(300)), 5, CODE)).rejects.toMatchObject({
      message: expect.stringMatching(/ENAMETOOLONG/),
    });
    await expect(readWhole("a\0b", 5, CODE)).rejects.toMatchObject({ code: CODE, cause: expect.anything() });
  });

  testWhere(process.getuid?.() !== 0, "files that may not be read: root reads all")(
    "that may not be read are an error with the cause",
    async () => {
      const path = place();
      writeFileSync(path, "");
      chmodSync(path, 0);
      await expect(readWhole(path, 5, CODE)).rejects.toMatchObject({
        code: CODE,
        message: expect.stringMatching(/EACCES/),
      });
    },
  );

  test("a socket is none", async () => {
    const path = place();
    const server = createServer().listen(path);
    await new Promise((listening) => server.once("listening", listening));
    try {
      await expect(readWhole(path, 5, CODE)).rejects.toMatchObject({
        message: `${path}: is a socket: expected a file`,
      });
    } finally {
      server.close();
    }
  });
});

const LFS = `version https://git-lfs.github.com/spec/v1\noid sha256:${"0".repeat(64)}\nsize 269060552\n`;

describe("files that are something else", () => {
  test.each<[string, string | Buffer, RegExp]>([
    ["a Git LFS pointer", LFS, /is a Git LFS pointer and not the file itself: run git lfs pull/],
    ["GGUF", "GGUF\x03\0\0\0", /is a GGUF file. quipu reads safetensors: give the folder/],
    ["a zip archive", Buffer.from("PK\x03\x04rest", "latin1"), /torch.save/],
    ["a pickle", Buffer.from("\x80\x02}q\0", "latin1"), /torch.save/],
    ["gzip", Buffer.from("\x1f\x8b\x08\0", "latin1"), /is compressed/],
    ["a web page", "\n<!DOCTYPE html><html>", /is a web page/],
    ["a server's refusal", "Entry not found", /server's refusal/],
    ["zeros", Buffer.alloc(1000), /begins with nothing but zeros/],
    ["nothing", "", /is empty/],
  ])("%s is named", async (_, content, said) => {
    const dir = place();
    writeCheckpoint(dir);
    for (const name of ["config.json", "model.safetensors", "tokenizer.json", "tokenizer.model"]) {
      const there = place();
      writeCheckpoint(there);
      writeFileSync(join(there, name), content);
      const read = name === "config.json" ? readConfig : name === "model.safetensors" ? openCheckpoint : loadTokenizer;
      await expect(read(there)).rejects.toMatchObject({
        message: expect.stringMatching(new RegExp(`${name.replace(".", "\\.")} .*${said.source}`)),
      });
    }
  });

  test("a Git LFS pointer is no chat template, nor a configuration beside one", async () => {
    for (const name of ["chat_template.jinja", "tokenizer_config.json"]) {
      const dir = place();
      writeCheckpoint(dir);
      writeFileSync(join(dir, name), LFS);
      await expect(loadChatTemplate(dir)).rejects.toMatchObject({ message: expect.stringMatching(/Git LFS pointer/) });
    }
  });

  test.each([
    [
      "adapter_config.json",
      '{"base_model_name_or_path":"org/base"}',
      /no config.json. But .* LoRA adapter of org\/base/,
    ],
    [
      "model-Q4_K_M.gguf",
      "GGUF",
      /no config.json. But there is model-Q4_K_M.gguf: a GGUF file. quipu reads safetensors/,
    ],
    ["consolidated.00.pth", "x", /no config.json. But .* the original form of Meta or Mistral/],
  ])("a folder with nothing but %s is told what it is", async (name, content, message) => {
    const dir = place();
    mkdirSync(dir);
    writeFileSync(join(dir, name), content);
    await expect(readConfig(dir)).rejects.toMatchObject({
      code: "ERR_MODEL_NOT_FOUND",
      message: expect.stringMatching(message),
    });
  });

  test("a safetensors header of any length is not", () => {
    const file = Buffer.from("\0\0\0\0\0\0\0\0{}");
    const lengths = [...Array(2 ** 17).keys(), 0x04034b50, 0xfd2fb528, 0x46554747];
    const wrong = lengths.filter((length) => {
      file.writeUInt32LE(length);
      return wrongFile(file) !== undefined;
    });
    expect(wrong).toEqual([]);
  });

  test("JSON, safetensors and text are not", () => {
    for (const content of ['{"a":1}', "\x10\0\0\0\0\0\0\0{", "IQ== 0\n", "  [", "\u{feff}{}"]) {
      expect(wrongFile(Buffer.from(content))).toBeUndefined();
    }
  });
});
