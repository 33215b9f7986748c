// rope: rotates the pairs (j, j + d/2) of every head by the row's angles (RoFormer, arXiv:2104.09864, in the half-split
// arrangement of Hugging Face checkpoints). Moves 8 bytes and does 3 flops an element: bound by memory. A task is a
// row.
//
// Angles come as (cos, sin) pairs; they are unzipped once per row, because all heads use them:
//   scratch   cosines [d/2], then sines [d/2]

QUIPU_INLINE void rotatePairs(f32x16 first, f32x16 second, f32x16 cosine, f32x16 sine, f32x16* outFirst,
                              f32x16* outSecond) {
  *outFirst = fma(negate(second), sine, mul(first, cosine));
  *outSecond = fma(first, sine, mul(second, cosine));
}

static constexpr size_t kRopeAngleBytes = 2 * sizeof(float);  // of a pair

// The angles of a row, [half, 2], unzipped to cosines [half], sines [half].
QUIPU_INLINE void unzipAngles(const float* angles, size_t half, float* cosines) {
  for (size_t j = 0; j < half; ++j) {
    cosines[j] = angles[2 * j];
    cosines[half + j] = angles[2 * j + 1];
  }
}

// Heads of at most 16 features, as many of them in a vector as it holds: each feature's other one is swapped into its
// lane, with the sine's sign the first one's.
template <int kHalf>
static void ropeSmallHeads(const float* in, float* out, size_t width, const float* cosines) {
  alignas(64) float cosineLanes[16], sineLanes[16];
  for (size_t l = 0; l < 16; ++l) {
    const float sine = cosines[kHalf + l % kHalf];
    cosineLanes[l] = cosines[l % kHalf];
    sineLanes[l] = l % (2 * kHalf) < kHalf ? -sine : sine;
  }
  const f32x16 cosine = load(cosineLanes), sine = load(sineLanes);
  const auto turned = [&](f32x16 v) { return fma(swapped<kHalf>(v), sine, mul(v, cosine)); };
  size_t c = 0;
  for (; c + 16 <= width; c += 16) store(out + c, turned(load(in + c)));
  if (c < width) storePart(out + c, turned(loadPart(in + c, width - c)), width - c);
}

// The heads of a row, or some of them, `width` features together; `out` may be `in`.
QUIPU_INLINE void ropeHeads(const float* in, float* out, size_t width, const float* cosines, size_t half) {
  switch (half) {
    case 1:
      return ropeSmallHeads<1>(in, out, width, cosines);
    case 2:
      return ropeSmallHeads<2>(in, out, width, cosines);
    case 4:
      return ropeSmallHeads<4>(in, out, width, cosines);
    case 8:
      return ropeSmallHeads<8>(in, out, width, cosines);
    default:
      break;
  }
  const float* sines = cosines + half;
  for (size_t head = 0; head < width; head += 2 * half) {
    const float *first = in + head, *second = first + half;
    float *toFirst = out + head, *toSecond = toFirst + half;
    f32x16 a, b;
    size_t j = 0;
    for (; j + 16 <= half; j += 16) {
      rotatePairs(load(first + j), load(second + j), load(cosines + j), load(sines + j), &a, &b);
      store(toFirst + j, a);
      store(toSecond + j, b);
    }
    if (const size_t rest = half - j; rest > 0) {
      rotatePairs(loadPart(first + j, rest), loadPart(second + j, rest), loadPart(cosines + j, rest),
                  loadPart(sines + j, rest), &a, &b);
      storePart(toFirst + j, a, rest);
      storePart(toSecond + j, b, rest);
    }
  }
}

static size_t ropeScratchBytes(const OpCall& call) { return size_t(call[rope::kAngles].dims[1]) * kRopeAngleBytes; }

static size_t ropeTasks(const OpCall& call, uint32_t) { return call[rope::kX].dims[0]; }

static void rope(const OpCall& call, Worker& worker) {
  const View& x = call[rope::kX];
  const size_t width = x.dims[1], half = call[rope::kAngles].dims[1];
  float* cosines = reinterpret_cast<float*>(worker.scratch);
  for (size_t row; worker.next(row);) {
    unzipAngles(call[rope::kAngles].as<float>() + row * half * 2, half, cosines);
    ropeHeads(x.as<float>() + row * width, call[rope::kOut].as<float>() + row * width, width, cosines, half);
  }
}
