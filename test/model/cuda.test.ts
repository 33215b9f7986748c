// Whole models on CUDA devices, the emulator of one among them: those that QUIPU_TEST_DEVICES names (test/kernels/run-op).
import { isCuda, OTHER_DEVICES } from "../kernels/run-op.js";
import { describeWhere } from "../where.js";
import { loadTiny, tinyNames } from "./reference.js";
import { begin, difference, logitsOf, rowAt, rows, someIds, tokenOf, withRuntime } from "./run-model.js";

/**
 * max |Δ| beside float64 at a position, as a share of the greatest logit there: of f32 its roundings; else that of activations to f16 (2⁻¹¹) before
 * every product. Weights of the tiny checkpoints are random and ten times as large as a model's (cuda-bound.test.ts has such models), so that a row
 * attends to one key or another by scores far apart, and errors of scores are errors of weights. About twice what was seen.
 */
const BOUNDS = { f32: 1e-5, bf16: 0.006, f16: 0.006, packed: 0.01 } as const;
/** What a margin of the two best is beside, twice: ids are the same wherever it is greater. */
const TOLERANCES = { f32: 1e-5, bf16: 2e-3, f16: 2e-3 } as const;
/** Over a cache of f16 queries and weights of attention are of f16, too, where heads have 64 or 128 features. */
const F16_CACHE = 2e-4;
const LENGTH = 70; // a page and a part, and more rows than one block's
/** Of every element type, with heads of several sizes: those whose rows are tried in company, which takes the emulator seconds each. */
const IN_COMPANY = ["gqa-f32", "mqa-tied-bf16", "mha-f16", "odd-tied-bf16"];

const devices = OTHER_DEVICES.filter(isCuda);
const describeCuda = describeWhere(devices.length > 0, "models on CUDA: QUIPU_TEST_DEVICES names no such device");

describeCuda.each(devices.length > 0 ? devices : ["cuda" as const])("%s", (device) => {
  describe.each(tinyNames())("tiny checkpoint %s", (name) => {
    const { folder, vocabSize } = loadTiny(name);
    const ids = someIds(LENGTH, vocabSize);
    const stored = name.split("-").at(-1) as "f32" | "bf16" | "f16";

    test.each(["none", "q8", "q4"] as const)("logits with weights of %s beside float64", async (quantize) => {
      const bound = quantize === "none" ? BOUNDS[stored] : BOUNDS.packed;
      for (const kvCache of quantize === "none" ? (["f32", "f16"] as const) : (["f16"] as const)) {
        const [is, exact] = [
          await logitsOf(folder, ids, { device, quantize, kvCache }),
          await logitsOf(folder, ids, { device: "reference", quantize, kvCache }),
        ];
        expect(difference(is, exact, vocabSize)).toBeLessThanOrEqual(
          kvCache === "f16" ? Math.max(bound, F16_CACHE) : bound,
        );
      }
    });
  });

  test.each(tinyNames())("tiny checkpoint %s: the best ids of a greedy continuation", async (name) => {
    const { folder, vocabSize, prompts } = loadTiny(name);
    const stored = name.split("-").at(-1) as "f32" | "bf16" | "f16";
    const { ids, greedy } = prompts[0]!;
    const logits = await logitsOf(folder, Int32Array.from([...ids, ...greedy.ids]), { device, kvCache: "f32" });
    const uncertain = greedy.ids.filter((id, i) => {
      const row = rowAt(logits, ids.length - 1 + i, vocabSize);
      const wrong = row[id] !== row.reduce((greatest, logit) => Math.max(greatest, logit));
      if (wrong) expect(greedy.margins[i]).toBeLessThanOrEqual(2 * TOLERANCES[stored] * greedy.maxAbsLogit[i]!);
      return wrong;
    });
    expect(uncertain.length).toBeLessThanOrEqual(stored === "f32" ? 0 : 2);
  });

  describe.each(IN_COMPANY)("tiny checkpoint %s in company", (name) => {
    const { folder, vocabSize } = loadTiny(name);
    const ids = someIds(LENGTH, vocabSize);

    test.each(["none", "q8", "q4"] as const)(
      "weights of %s: the same bits by chunks, alone and in a batch",
      async (quantize) => {
        const options = { device, quantize, kvCache: "f16", slots: 3 } as const;
        await withRuntime(folder, options, async (runtime) => {
          const settings = {
            ...{ temperature: 0, topK: 0, topP: 1, minP: 0, repeatPenalty: 1, presencePenalty: 0, frequencyPenalty: 0 },
            ...{ seed: 0, logitBias: new Map<number, number>() },
          };
          const all = new Float32Array(LENGTH * vocabSize);
          await begin(runtime, 0, ids, settings);
          await runtime.logits(rows(ids), [...ids.keys()], all);
          for (const chunk of [7, 40]) {
            await begin(runtime, 1, ids, settings);
            for (let first = 0; first < LENGTH; first += chunk) {
              const part = rows(ids.subarray(first, first + chunk), 1, first);
              const logits = new Float32Array(part.length * vocabSize);
              await runtime.logits(part, [...part.keys()], logits);
              expect(logits).toEqual(all.subarray(first * vocabSize, (first + part.length) * vocabSize));
            }
          }
          // A token of slot 0 behind its prompt, beside a prompt of slot 1 and one of slot 2.
          const [last, others] = [ids.length - 1, someIds(30, vocabSize, 2)];
          const alone = new Float32Array(vocabSize);
          await runtime.logits(rows(ids.subarray(last), 0, last), [0], alone);
          expect(alone).toEqual(rowAt(all, last, vocabSize));
          for (const slot of [1, 2]) await begin(runtime, slot, others, settings);
          const step = [...rows(ids.subarray(last), 0, last), ...rows(others, 1), ...rows(others.subarray(0, 3), 2)];
          const logits = new Float32Array(vocabSize);
          await runtime.logits(step, [0], logits);
          expect(logits).toEqual(rowAt(all, last, vocabSize));
        });
      },
    );
  });

  test("decoding goes on by itself as the host would have it", async () => {
    const { folder, vocabSize } = loadTiny("gqa-f32");
    const settings = {
      ...{
        temperature: 0.9,
        topK: 20,
        topP: 0.9,
        minP: 0,
        repeatPenalty: 1.1,
        presencePenalty: 0.2,
        frequencyPenalty: 0.1,
      },
      ...{ seed: 5, logitBias: new Map([[3, 0.5]]) },
    };
    const said = async (which: { device?: typeof device }) =>
      withRuntime(folder, { ...which, kvCache: "f32" }, async (runtime) => {
        const ids = someIds(20, vocabSize);
        await begin(runtime, 0, ids, settings);
        const steps = [runtime.sample(rows(ids), [ids.length - 1], [2])];
        while (steps.length < 12) steps.push(runtime.sample([{ slot: 0 }], [0], [2]));
        return (await Promise.all(steps)).map(({ sampled: [row] }) => tokenOf(row).id);
      });
    expect(await said({ device })).toEqual(await said({}));
  });
});
