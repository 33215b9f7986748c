// Vectors of an i8 cache (docs/numerics.md, attention): rotated where their size is a power of two, then codes of
// −127 … 127 and one scale. Of a page's keys four features of every key lie side by side, as simd/scalar_dots.h takes
// them, and what is left of a size that is no multiple of four key after key.

// Features that a dots16 sums exactly.
static constexpr size_t kExactProducts = 1024;

QUIPU_INLINE bool rotates(size_t size) { return size >= 16 && (size & (size - 1)) == 0; }

// x times the Hadamard matrix of its size, in place. The matrix is √size times an orthonormal one.
static void rotate(float* x, size_t size) {
  for (size_t c = 0; c < size; c += 16) store(x + c, hadamard(load(x + c)));
  for (size_t apart = 16; apart < size; apart *= 2) {
    for (size_t first = 0; first < size; first += 2 * apart) {
      for (size_t c = first; c < first + apart; c += 16) {
        const f32x16 a = load(x + c), b = load(x + c + apart);
        store(x + c, add(a, b));
        store(x + c + apart, sub(a, b));
      }
    }
  }
}

// The vector, rotated where its size is; `rotated` is room for [size].
QUIPU_INLINE const float* rotatedOf(const float* vector, float* rotated, size_t size) {
  if (!rotates(size)) return vector;
  __builtin_memcpy(rotated, vector, size * sizeof(float));
  rotate(rotated, size);
  return rotated;
}

// Where the code of feature c of a key lies in its page.
QUIPU_INLINE size_t keyCode(size_t size, size_t c, size_t key) {
  return c < size / 4 * 4 ? (c / 4 * kPageKeys + key) * 4 + c % 4 : c * kPageKeys + key;
}

// Room for the codes of a query, padded with zeros, and for their sums.
QUIPU_INLINE size_t queryCodeBytes(size_t size) {
  return (size + 15) / 16 * 16 + ((size + kExactProducts - 1) / kExactProducts + 3) / 4 * 16;
}

struct QueryCodes {
  const int8_t* codes;  // [d]
  const int32_t* sums;  // of each kExactProducts of them
  float scale;
};

// Codes of a query that is rotated already, in `room` of queryCodeBytes.
static QueryCodes queryCodes(const float* q, size_t size, std::byte* room) {
  auto* codes = reinterpret_cast<int8_t*>(room);
  auto* sums = reinterpret_cast<int32_t*>(room + (size + 15) / 16 * 16);
  Magnitudes magnitudes;
  for (size_t c = 0; c < size; c += 16) magnitudes.add(loadPart(q + c, size - c < 16 ? size - c : 16));
  const ActivationScale scale = magnitudes.scale();
  f32x16 total = zero();
  for (size_t c = 0; c < size; c += 16) {
    const f32x16 code = scale.codes(loadPart(q + c, size - c < 16 ? size - c : 16));
    narrowI8(codes + c, code);
    total = add(total, code);
    if ((c + 16) % kExactProducts == 0 || c + 16 >= size) {
      sums[c / kExactProducts] = int32_t(sum(total));
      total = zero();
    }
  }
  return {codes, sums, scale.scale};
}
