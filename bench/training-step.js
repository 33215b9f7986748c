// The models of bench/train.js, and a training step of one by any checkout's modules.

/** Tokens of a micro-batch, which is the step's only one, and of its sequences. */
export const [TOKENS, SEQUENCE] = [2048, 256];
/** Vocabulary, hidden, feed-forward, layers, heads, key/value heads; all tied. */
export const MODELS = {
  "0.26 M": [512, 64, 172, 5, 8, 4],
  "2 M": [2048, 192, 512, 4, 6, 3],
  "7 M": [4096, 288, 768, 6, 6, 6],
  "15 M": [4096, 384, 1024, 8, 6, 6],
};

/** Rows that predict the row behind them. */
function batchOf(vocabSize) {
  const each = (of) => Int32Array.from({ length: TOKENS }, (_, i) => of(i));
  return {
    ids: each((i) => (i * 7919) % vocabSize),
    targets: each((i) => ((i + 1) * 7919) % vocabSize),
    weights: new Float32Array(TOKENS).fill(1),
    slots: each((i) => Math.floor(i / SEQUENCE)),
    positions: each((i) => i % SEQUENCE),
  };
}

/**
 * @param modules openDevice and createTrainingRuntime of a checkout.
 * @returns `step()`, forward, backward, clipping and AdamW; `bytes()`; `dispose()`.
 */
export async function trainingOf({ openDevice, createTrainingRuntime }, model, threads) {
  const [vocabSize, hiddenSize, intermediateSize, layers, heads, kvHeads] = model;
  const device = openDevice({ threads });
  const config = {
    ...{ modelType: "llama", vocabSize, hiddenSize, intermediateSize, layers, heads, kvHeads, normEps: 1e-5 },
    ...{
      headSize: hiddenSize / heads,
      maxPositions: SEQUENCE,
      tiedEmbeddings: true,
      rope: { theta: 10000 },
      eosIds: [],
    },
  };
  const shape = { batchTokens: TOKENS, maxDocuments: TOKENS / SEQUENCE, contextLength: SEQUENCE };
  const runtime = await createTrainingRuntime(device, config, shape);
  await runtime.initialise(1);
  const batch = batchOf(vocabSize);
  let step = 0;
  return {
    step: async () => {
      runtime.accumulate(batch);
      step += 1;
      await runtime.step({ step, rate: 1e-3, weightDecay: 0.1 });
    },
    bytes: () => device.memory().state + device.memory().arena,
    dispose: async () => {
      runtime.dispose();
      await device.dispose();
    },
  };
}
