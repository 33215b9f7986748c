// quantize: weights to the codes and scales of q8 (docs/numerics.md). Reads the weights once and writes 34 bytes for
// every 32 of them: bound by memory and the division. A task is a group of sixteen rows.

static size_t quantizeTasks(const OpCall& call, uint32_t) {
  return (call[quantize::kWeight].dims[0] + kGroupRows - 1) / kGroupRows;
}

// The codes of 32 values, and the bits of their scale; false where one is no number.
QUIPU_INLINE bool q8Code(f32x16 low, f32x16 high, int8_t* codes, uint16_t* scaleBits) {
  const f32x16 magnitude = max(abs(low), abs(high));
  const m16 finite =
      both(lessEqual(abs(low), broadcast(0x1.fffffep127f)), lessEqual(abs(high), broadcast(0x1.fffffep127f)));
  if (bits(finite) != 0xffff) return false;
  uint16_t rounded[16];
  narrowF16(rounded, div(broadcast(maximum(magnitude)), broadcast(127.0f)));
  float wide[16];
  store(wide, widenF16(rounded));
  *scaleBits = rounded[0];
  if (!(wide[0] < 65536.0f)) return false;  // the scale is none of f16
  const f32x16 scale = broadcast(wide[0]), most = broadcast(127.0f), least = broadcast(-127.0f);
  f32x16 values[2] = {low, high};
  for (int half = 0; half < 2; ++half) {
    const f32x16 code = wide[0] > 0 ? rint(div(values[half], scale)) : zero();
    narrowI8(codes + 16 * half, min(max(code, least), most));
  }
  return true;
}

static void quantizeRows(const OpCall& call, Worker& worker) {
  const View &weight = call[quantize::kWeight], &packed = call[quantize::kPacked];
  const size_t rows = weight.dims[0], depth = weight.dims[1];
  withElements(weight, [&](auto from) {
    for (size_t group; worker.next(group);) {
      const size_t first = group * kGroupRows, count = rows - first < kGroupRows ? rows - first : kGroupRows;
      std::byte* block = q8Group(packed, group);
      for (size_t k = 0; k < depth; k += kQ8Block, block += kQ8BlockBytes) {
        const size_t n = depth - k < kQ8Block ? depth - k : kQ8Block;
        const size_t low = n < 16 ? n : 16, high = n - low;
        for (size_t r = 0; r < count; ++r) {
          const auto* at = from + (first + r) * depth + k;
          int8_t codes[kQ8Block];
          uint16_t scale;
          if (!q8Code(loadWidePart(at, low), high > 0 ? loadWidePart(at + 16, high) : zero(), codes, &scale)) {
            return worker.fail(ErrorCode::kNotANumber, uint32_t(first + r));
          }
          for (size_t c = 0; c < kQ8Block; c += 4) __builtin_memcpy(block + q8Codes(r, c), codes + c, 4);
          __builtin_memcpy(block + kQ8Codes + 2 * r, &scale, 2);
        }
      }
    }
  });
}
