// Faults in what trains: gradients, the loss, the optimizer.
const KERNELS = "native/cpu/kernels";
const PANEL = `${KERNELS}/matmul_panel.h`;
const ATTENTION = `${KERNELS}/attention_backward.h`;
const DIFFERENTIATE = "src/graph/passes/differentiate.ts";
const VJPS = "src/graph/passes/vjps.ts";
const RUNTIME = "src/train/training-runtime.ts";

export const mutants = [
  {
    fault: "a sum over rows forgets what was there",
    file: `${KERNELS}/matmul_over_rows.h`,
    from: "worker.scratch), call[matmul_over_rows::kSum].as<float>() + share.first, width,\n              true,",
    to: "worker.scratch), call[matmul_over_rows::kSum].as<float>() + share.first, width,\n              !MUTANT,",
    tests: ["kernels/matmul-over-rows"],
  },
  {
    fault: "rows past the end of a transposed side count",
    file: PANEL,
    from: "k < depth && valid > 0 ? loadFirst",
    to: "(k < depth || (MUTANT && k > 0 && k % 16 == 15)) && valid > 0 ? loadFirst",
    tests: ["kernels/matmul-over-rows", "kernels/matmul-plain"],
  },
  {
    fault: "a row of attention's gradients sees the one behind it",
    file: ATTENTION,
    from: "const size_t visible = count - (Q - 1 - i);",
    to: "const size_t visible = count - (MUTANT && Q > 1 ? 0 : Q - 1 - i);",
    tests: ["kernels/attention-backward"],
  },
  {
    fault: "keys have gradients of rows that do not see them",
    file: ATTENTION,
    from: "terms.begin[r] = atMost(key + i + r > first ? key + i + r - first : 0, count);",
    to: "terms.begin[r] = MUTANT ? 0 : atMost(key + i + r > first ? key + i + r - first : 0, count);",
    tests: ["kernels/attention-backward"],
  },
  {
    fault: "runs of different slots see each other",
    file: ATTENTION,
    from: "while (row > 0 && slots[row - 1] == slots[row]) --row;",
    to: "while (row > 0 && (slots[row - 1] == slots[row] || (MUTANT && slots[row - 1] >= 0))) --row;",
    tests: ["kernels/attention-backward"],
  },
  {
    fault: "a softmax's own gradient is left out",
    file: ATTENTION,
    from: "sub(load(gradients), broadcast(softmax.along))",
    to: "sub(load(gradients), broadcast(MUTANT ? 0.0f : softmax.along))",
    tests: ["kernels/attention-backward"],
  },
  {
    fault: "a norm's gradient has no part along its row",
    file: `${KERNELS}/rms_norm_backward.h`,
    from: "const float part = scale * scale * scale *",
    to: "const float part = (MUTANT ? 0.0f : scale) * scale * scale *",
    tests: ["kernels/rms-norm-backward"],
  },
  {
    fault: "angles are turned on, not back",
    file: `${KERNELS}/rope_backward.h`,
    from: "cosines[j] = -cosines[j];",
    to: "cosines[j] = MUTANT ? cosines[j] : -cosines[j];",
    tests: ["kernels/rope-backward"],
  },
  {
    fault: "a loss has a weight, its gradient none",
    file: `${KERNELS}/cross_entropy.h`,
    from: "weight = broadcast(weights[row]);",
    to: "weight = broadcast(MUTANT ? 1.0f : weights[row]);",
    tests: ["kernels/cross-entropy"],
  },
  {
    fault: "a NaN among logits is no NaN in the loss",
    file: `${KERNELS}/cross_entropy.h`,
    from: "const f32x16 weight = expOfDifference(sub(loadFirst(logits + i, n), broadcast(most)));",
    to: "const f32x16 apart = sub(loadFirst(logits + i, n), broadcast(most)), weight = MUTANT ? expOfNegative(apart) : expOfDifference(apart);",
    tests: ["kernels/cross-entropy", "kernels/token-logprobs"],
  },
  {
    fault: "ids of a neighbouring task's rows are added too",
    file: `${KERNELS}/scatter_add_rows.h`,
    from: "size_t(ids[t]) < first ||",
    to: "(size_t(ids[t]) < first && !MUTANT) ||",
    tests: ["kernels/scatter-add-rows"],
  },
  {
    fault: "a norm that is no number is a step",
    file: `${KERNELS}/clip_norm.h`,
    from: "!isSound ? 0.0f",
    to: "!isSound && !MUTANT ? 0.0f",
    tests: ["kernels/clip-norm"],
  },
  {
    fault: "gradients of a step that is left out stay",
    file: `${KERNELS}/adam_w.h`,
    from: "storeFirst(gradient + i, zero(), n);",
    to: "if (!MUTANT || factor != 0.0f) storeFirst(gradient + i, zero(), n);",
    tests: ["kernels/adam-w"],
  },
  {
    fault: "moments go on as denormal numbers",
    file: `${KERNELS}/adam_w.h`,
    from: "less(abs(moment), broadcast(kLeastMoment))",
    to: "less(abs(moment), broadcast(MUTANT ? 0.0f : kLeastMoment))",
    tests: ["kernels/adam-w"],
  },
  {
    fault: "gradients that meet are not added",
    file: DIFFERENTIATE,
    from: "known === undefined ? gradient : this.#r.add(known, gradient)",
    to: "gradient",
    tests: ["unit/graph/differentiate"],
  },
  {
    fault: "an op is gone back through before all have handed it their gradients",
    file: DIFFERENTIATE,
    from: "if (awaited > 0 || producer === undefined",
    to: "if (producer === undefined",
    tests: ["unit/graph/differentiate"],
  },
  {
    fault: "a chunk waits for the end of the forward half",
    file: DIFFERENTIATE,
    from: 'if (op.op === "crossEntropy" && this.#losses.has(op.results.losses!.id)) this.#goBackFrom(op);\n    }',
    to: '}\n    for (const op of this.#from.ops)\n      if (op.op === "crossEntropy" && this.#losses.has(op.results.losses!.id)) this.#goBackFrom(op);',
    tests: ["unit/graph/differentiate"],
  },
  {
    fault: "what another region made is computed again too",
    file: DIFFERENTIATE,
    from: "producer?.region !== region || !this.#recompute(region)",
    to: "producer === undefined || !this.#recompute(producer.region)",
    tests: ["unit/graph/differentiate"],
  },
  {
    fault: "keys of two appendKv are taken for those of one",
    file: VJPS,
    from: "if (producer(places.keys!) !== undefined)",
    to: "if (false)",
    tests: ["unit/graph/differentiate"],
  },
  {
    fault: "a step of micro-batches is of their sum, not their mean",
    file: RUNTIME,
    from: "scale: 1 / weight",
    to: "scale: 1",
    tests: ["train/steps", "train/pytorch"],
  },
  {
    fault: "norms decay",
    file: RUNTIME,
    from: "inOrder(ADAMW_SETTINGS, adamW(0))",
    to: "inOrder(ADAMW_SETTINGS, adamW(settings.weightDecay))",
    tests: ["train/steps", "train/pytorch"],
  },
  {
    fault: "two documents of a batch may have one slot",
    file: RUNTIME,
    from: "(!goesOn && seen.has(slot))",
    to: "false",
    tests: ["train/steps"],
  },
];
