// clipNorm: three numbers into two.

static size_t oneTask(const OpCall&, uint32_t) { return 1; }

static void clipNormRun(const OpCall& call, Worker& worker) {
  const float* settings = call[clip_norm::kSettings].as<float>();
  const float scale = settings[clip_norm::kScale], greatest = settings[clip_norm::kGreatest];
  for (size_t task; worker.next(task);) {
    const float norm = __builtin_sqrtf(*call[clip_norm::kSquares].as<float>()) * scale;
    const bool isSound = norm < __builtin_inff() && norm <= settings[clip_norm::kLimit];  // a NaN is neither
    *call[clip_norm::kNorm].as<float>() = norm;
    *call[clip_norm::kFactor].as<float>() = !isSound ? 0.0f : norm > greatest ? scale * (greatest / norm) : scale;
  }
}
