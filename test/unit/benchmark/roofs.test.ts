// What a rate is held against: which roof, and when none.
import { belowRoofs, decodeRoof, promptRoof } from "#quipu/benchmark/roofs.js";

const ROOFS = { readBandwidth: 30e9, peak: 200e9, integerPeak: 800e9 };
const format = (name: "bf16" | "q8" | "f32") => ({ format: name, parameters: 1, bytes: 1 });
const WEIGHTS = {
  formats: [format("bf16")],
  weightBytesPerToken: 200e6,
  cacheBytesPerPosition: 1e4,
  flopsPerPromptToken: 1e8,
  flopsPerLogits: 4e8,
};
const SHAPE = { layers: 2, heads: 4, headSize: 8 };

describe("a prompt", () => {
  const measured = { rate: 1000, tokens: 4, depth: 10 };
  // Four rows see 11 to 14 keys, 4 · 8 flops for each of 4 heads in 2 layers; one row has logits.
  const flops = (1000 * (4 * 1e8 + 4e8 + 2 * 4 * 4 * 8 * (11 + 12 + 13 + 14))) / 4;

  test("is held against the f32 peak", () => {
    const roof = promptRoof(SHAPE, WEIGHTS, ROOFS, measured);
    expect(roof.unit).toBe("GFLOP/s");
    expect(roof.value).toBeCloseTo(flops / 1e9, 9);
    expect(roof.share).toBeCloseTo(flops / 200e9, 9);
  });

  test("of weights that are quantized against the peak of codes, whatever else there is", () => {
    for (const formats of [[format("q8")], [format("bf16"), format("q8")]]) {
      const roof = promptRoof(SHAPE, { ...WEIGHTS, formats }, ROOFS, measured);
      expect(roof.unit).toBe("GOP/s");
      expect(roof.share).toBeCloseTo(flops / 800e9, 9);
    }
  });
});

describe("decoding", () => {
  const measured = { rate: 100, tokens: 10, depth: 20 };
  const bytes = 200e6 + 25 * 1e4;

  test("is held against the bandwidth", () => {
    const roof = decodeRoof(WEIGHTS, ROOFS, measured, bytes / 2);
    expect(roof.unit).toBe("GB/s");
    expect(roof.value).toBeCloseTo((100 * bytes) / 1e9, 9);
    expect(roof.share).toBeCloseTo((100 * bytes) / 30e9, 9);
  });

  test("has no share where less is read than twice what the caches hold", () => {
    const roof = decodeRoof(WEIGHTS, ROOFS, measured, bytes / 2 + 1);
    expect(roof).toEqual({ unit: "GB/s", value: (100 * bytes) / 1e9 });
  });
});

describe("shares of roofs", () => {
  const shares = ({ peak, readBandwidth }: typeof ROOFS) => ({
    prompt: { unit: "GFLOP/s" as const, value: 150, share: 150e9 / peak },
    decode: { unit: "GB/s" as const, value: 33, share: 33e9 / readBandwidth },
    small: { unit: "GB/s" as const, value: 90 },
  });
  const never = () => Promise.reject(new Error("measured again"));

  test("of up to 102 % stay as they are", async () => {
    const roofs = { ...ROOFS, readBandwidth: 33e9 / 1.02 + 1 };
    const { shares: found } = await belowRoofs(roofs, shares, never);
    expect(found).toEqual(shares(roofs));
  });

  test("above that are of roofs that are measured again", async () => {
    const higher = { ...ROOFS, readBandwidth: 40e9 };
    expect(await belowRoofs(ROOFS, shares, async () => higher)).toEqual({ roofs: higher, shares: shares(higher) });
  });

  test("that stay above it are marked and not cut", async () => {
    const { roofs, shares: found } = await belowRoofs(ROOFS, shares, async () => ROOFS);
    expect(roofs).toBe(ROOFS);
    expect(found).toEqual({ ...shares(ROOFS), decode: { unit: "GB/s", value: 33, share: 1.1, above: true } });
  });
});
