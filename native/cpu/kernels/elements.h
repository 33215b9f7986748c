// Stored element types as C++ types, so that a kernel written once for `const E*` reads f32, f16 and bf16.
//   loadWide(p) loadWidePart(p, n)     sixteen (the first n) elements widened to f32, see simd/scalar.h

struct F16 {
  uint16_t bits;
};

struct Bf16 {
  uint16_t bits;
};

QUIPU_INLINE f32x16 loadWide(const float* p) { return load(p); }
QUIPU_INLINE f32x16 loadWide(const F16* p) { return widenF16(&p->bits); }
QUIPU_INLINE f32x16 loadWide(const Bf16* p) { return widenBf16(&p->bits); }

QUIPU_INLINE f32x16 loadWidePart(const float* p, size_t n) { return loadPart(p, n); }
QUIPU_INLINE f32x16 loadWidePart(const F16* p, size_t n) { return widenF16Part(&p->bits, n); }
QUIPU_INLINE f32x16 loadWidePart(const Bf16* p, size_t n) { return widenBf16Part(&p->bits, n); }

// The first n ≤ 16; most often all of them, which takes no mask.
QUIPU_INLINE f32x16 loadFirst(const float* p, size_t n) { return n == 16 ? load(p) : loadPart(p, n); }

QUIPU_INLINE void storeFirst(float* p, f32x16 v, size_t n) {
  if (n == 16) return store(p, v);
  storePart(p, v, n);
}

// Of a matrix.
QUIPU_INLINE size_t elementsOf(const View& view) { return size_t(view.dims[0]) * view.dims[1]; }

QUIPU_INLINE void copyFloats(const float* from, float* to, size_t count) {
  __builtin_memcpy(to, from, count * sizeof(float));
}

// Bytes up to the end of a cache line.
QUIPU_INLINE size_t wholeLines(size_t bytes) { return (bytes + 63) / 64 * 64; }

// A place in the memory of an op; null where there is none yet, and bytes are asked for.
QUIPU_INLINE std::byte* placeIn(std::byte* memory, size_t offset) {
  return memory == nullptr ? nullptr : memory + offset;
}

// Calls f(typed pointer) for a floating-point tensor.
template <typename F>
QUIPU_INLINE void withElements(const View& view, F f) {
  switch (view.dtype) {
    case DType::kF32:
      return f(view.as<const float>());
    case DType::kF16:
      return f(view.as<const F16>());
    case DType::kBF16:
      return f(view.as<const Bf16>());
    case DType::kI32:
    case DType::kI8:
    case DType::kQ8:
    case DType::kQ6:
    case DType::kQ4:
      return;  // refused by op_table.cc
  }
}
