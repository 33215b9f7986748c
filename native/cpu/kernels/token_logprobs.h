// tokenLogprobs: log softmax of the id that came. Reads a row of logits twice, one exp an element: bound by arithmetic.
// A task is a row.

static size_t tokenLogprobsTasks(const OpCall& call, uint32_t) { return call[token_logprobs::kLogits].dims[0]; }

static void tokenLogprobsRows(const OpCall& call, Worker& worker) {
  const View& view = call[token_logprobs::kLogits];
  const size_t count = view.dims[1];
  const int32_t* targets = call[token_logprobs::kTargets].as<int32_t>();
  float* logprobs = call[token_logprobs::kLogprobs].as<float>();
  for (size_t row; worker.next(row);) {
    const float* logits = view.as<float>() + row * count;
    const int32_t target = targets[row];
    if (!isId(target, count)) {
      logprobs[row] = 0.0f;
      continue;
    }
    const RowMass mass = massOf(logits, count, nullptr);
    logprobs[row] = float((double(logits[target]) - double(mass.greatest)) - logMass(mass));
  }
}
