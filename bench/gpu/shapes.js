// The shapes whose speed is measured: Llama 3.2 1B's, Llama 3.1 8B's, and one for trying the script itself.
const LLAMA_1B = { layers: 16, hidden: 2048, heads: 32, kvHeads: 8, ffn: 8192, vocab: 128_256, tied: true };

export const SHAPES = {
  "1b": LLAMA_1B,
  "8b": { ...LLAMA_1B, layers: 32, hidden: 4096, ffn: 14_336, tied: false },
  tiny: { layers: 1, hidden: 64, heads: 4, kvHeads: 2, ffn: 128, vocab: 512, tied: true },
};

/** Bytes of the weights as they are made, in bf16. */
export function bytesOf({ layers, hidden, heads, kvHeads, ffn, vocab, tied }) {
  const layer = 2 * hidden * hidden + (2 * hidden * hidden * kvHeads) / heads + 3 * hidden * ffn;
  return 2 * (layers * layer + vocab * hidden * (tied ? 1 : 2));
}
