// Options of a training that depend on each other, and what they are where they are not given.
import { type TrainOptions, trainingSettings, trainOptions } from "#quipu/train/training-options.js";

const settingsOf = (options: Partial<TrainOptions>) =>
  trainingSettings(trainOptions({ data: "d", init: "i", output: "o", steps: 1, ...options }));

test.each<[Partial<TrainOptions>, number, number]>([
  [{}, 4096, 256],
  [{ batch: 12288 }, 4096, 256],
  [{ batch: 5000 }, 2500, 256],
  [{ batch: 64 }, 64, 64],
  [{ batch: 4099, microBatch: 4099 }, 4099, 256],
  [{ batch: 128, microBatch: 32 }, 32, 32],
  [{ batch: 2 * 4099, sequence: 2 }, 2, 2],
])("%j: %d tokens at once, %d of a document", (options, microBatch, sequence) => {
  expect(settingsOf(options)).toMatchObject({ microBatch, sequence });
});

test.each<[Partial<TrainOptions>, string, RegExp]>([
  [
    { batch: 4099 },
    "microBatch",
    /^microBatch: the largest part of batch \(4099\) up to 4096 is 1, and a sequence has 256/,
  ],
  [{ batch: 3 * 4099, sequence: 4 }, "microBatch", /is 3, and a sequence has 4: name a larger one, or another batch$/],
  [{ batch: 64, sequence: 65 }, "sequence", /^sequence: expected at most microBatch \(64\), got 65$/],
  [{ sequence: 1 }, "sequence", /^sequence: expected a whole number from 2 to/],
  [{ batch: 1 }, "batch", /from 2 to/],
  [{ muonRate: 0.02 }, "muonRate", /^muonRate: Muon's rate, and the optimizer is adamw$/],
  [{ optimizer: "sgd" as never }, "optimizer", /^optimizer: expected one of adamw, muon, got "sgd"$/],
  [{ average: 1.5 }, "average", /^average: expected .* from 0 to 1, got 1.5$/],
  [{ seed: 2 ** 32 }, "seed", /from 0 to 4294967295, got 4294967296/],
])("%j is refused", (options, option, message) => {
  expect(() => settingsOf(options)).toThrow(
    expect.objectContaining({ code: "ERR_USAGE", option, message: expect.stringMatching(message) }),
  );
});
