// adamW: a step of AdamW (arXiv:1711.05101), element by element. Moves 32 bytes an element: bound by memory. A task is
// a run of elements.

static constexpr size_t kAdamWRun = 4096;
// A moment below it counts for nothing beside epsilon, and its next decays would be slow: denormal.
static constexpr float kLeastMoment = 0x1p-100f;

QUIPU_INLINE f32x16 keptMoment(f32x16 moment) {
  return select(less(abs(moment), broadcast(kLeastMoment)), zero(), moment);
}

static size_t adamWTasks(const OpCall& call, uint32_t) {
  return (size_t(call[adam_w::kParameter].dims[0]) + kAdamWRun - 1) / kAdamWRun;
}

static void adamWRun(const OpCall& call, Worker& worker) {
  const size_t count = call[adam_w::kParameter].dims[0];
  float *parameter = call[adam_w::kParameter].as<float>(), *gradient = call[adam_w::kGradient].as<float>();
  float *momentum = call[adam_w::kMomentum].as<float>(), *variance = call[adam_w::kVariance].as<float>();
  const float* settings = call[adam_w::kSettings].as<float>();
  const auto setting = [&](uint32_t field) { return broadcast(settings[field]); };
  const f32x16 rate = setting(adam_w::kRate), keep = setting(adam_w::kKeep), epsilon = setting(adam_w::kEpsilon);
  const f32x16 beta1 = setting(adam_w::kBeta1), gain1 = setting(adam_w::kGain1);
  const f32x16 beta2 = setting(adam_w::kBeta2), gain2 = setting(adam_w::kGain2);
  const f32x16 correction1 = setting(adam_w::kCorrection1), correction2 = setting(adam_w::kCorrection2);
  const float factor = *call[adam_w::kFactor].as<float>();
  for (size_t task; worker.next(task);) {
    const size_t end = atMost((task + 1) * kAdamWRun, count);
    for (size_t i = task * kAdamWRun; i < end; i += 16) {
      const size_t n = atMost(end - i, 16);
      const f32x16 g = mul(loadFirst(gradient + i, n), broadcast(factor));
      storeFirst(gradient + i, zero(), n);
      if (factor == 0.0f) continue;
      const f32x16 m = keptMoment(fma(beta1, loadFirst(momentum + i, n), mul(gain1, g)));
      const f32x16 v = keptMoment(fma(beta2, loadFirst(variance + i, n), mul(mul(gain2, g), g)));
      const f32x16 update = div(div(m, correction1), add(sqrt(div(v, correction2)), epsilon));
      storeFirst(momentum + i, m, n);
      storeFirst(variance + i, v, n);
      storeFirst(parameter + i, fma(negate(rate), update, mul(loadFirst(parameter + i, n), keep)), n);
    }
  }
}
