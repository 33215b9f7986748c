// Lines of the log of a run of 4,000 steps, one of which was left out.
const STEPS = 4000;
export const EVENTS = Array.from({ length: STEPS }, (_, i) => ({
  ...{
    type: "step",
    step: i + 1,
    loss: 8 / Math.sqrt(1 + i),
    rate: 1e-3 * (1 - i / STEPS),
    gradientNorm: i === 9 ? null : 1 + (i % 3),
  },
  ...{
    skipped: i === 9,
    tokens: 100 * (i + 1),
    tokensPerSecond: 500,
    seconds: (i + 1) / 5,
    progress: (i + 1) / STEPS,
    epochs: i / 1000,
  },
}));
export const OTHERS = [
  { type: "evaluation", step: 2000, loss: 1.25, bitsPerByte: 0.8125 },
  { type: "checkpoint", step: 2000, path: "x" },
  { type: "sample", step: 2000, text: 'A cat <script>alert("&")</script>\nsat.' },
  { type: "evaluation", step: 4000, loss: 1.125, bitsPerByte: 0.75 },
];
