// mma and ldmatrix against the layouts that NVIDIA publishes in CuTe (include/cute/atom/mma_traits_sm80.hpp,
// SM80_16x8x16_F32BF16BF16F32_TN; copy_traits_sm75.hpp, SM75_U32x4_LDSM_N and SM75_U16x8_LDSM_T), typed in as shapes
// and strides, and not against the emulator's own formulas.
#include <array>

#include "harness.h"
#include "simt/gpu.h"
#include "simt/report.h"

namespace quipu::simt::test {

namespace {

struct Mode {
  uint32_t shape, stride;
};

// Where the coordinate `index` of modes with the first one fastest lies.
template <size_t N>
uint32_t offsetOf(const std::array<Mode, N>& modes, uint32_t index) {
  uint32_t offset = 0;
  for (const Mode& mode : modes) {
    offset += index % mode.shape * mode.stride;
    index /= mode.shape;
  }
  return offset;
}

// (thread, value) → m + 16 k, n + 8 k, m + 16 n.
constexpr std::array<Mode, 2> kThreadOfA = {{{4, 32}, {8, 1}}}, kThreadOfB = {{{4, 16}, {8, 1}}},
                              kThreadOfC = {{{4, 32}, {8, 1}}};
constexpr std::array<Mode, 3> kValueOfA = {{{2, 16}, {2, 8}, {2, 128}}};
constexpr std::array<Mode, 2> kValueOfB = {{{2, 8}, {2, 64}}}, kValueOfC = {{{2, 16}, {2, 8}}};
// (thread, value) → bit, of what ldmatrix gives; values are single bits.
constexpr std::array<Mode, 1> kThreadOfLoad = {{{32, 32}}};
constexpr std::array<Mode, 2> kValueOfLoad = {{{32, 1}, {4, 1024}}};
constexpr std::array<Mode, 2> kThreadOfTransposed = {{{4, 256}, {8, 16}}};
constexpr std::array<Mode, 3> kValueOfTransposed = {{{16, 1}, {2, 128}, {4, 1024}}};

struct Fragments {
  uint32_t a[4], b[2];
  float d[4];
};

template <bool kHalf>
__global__ void product(const Fragments* in, float* out) {
  Fragments f = in[threadIdx.x];
  if (kHalf) {
    mmaHalf(f.d, f.a, f.b);
  } else {
    mmaBf16(f.d, f.a, f.b);
  }
  for (int i = 0; i < 4; ++i) out[threadIdx.x * 4 + static_cast<unsigned>(i)] = f.d[i];
}

uint16_t bitsOf(float value, bool half) {
  return half ? halfBits(value) : static_cast<uint16_t>(std::bit_cast<uint32_t>(value) >> 16);
}

// Small whole numbers: every order of sums is exact.
void testProduct(bool half) {
  int a[16][16], b[16][8], c[16][8];
  uint32_t x = 12345;
  const auto next = [&] { return static_cast<int>((x = x * 1664525 + 1013904223) >> 28) - 8; };
  for (auto& row : a)
    for (int& v : row) v = next();
  for (auto& row : b)
    for (int& v : row) v = next();
  for (auto& row : c)
    for (int& v : row) v = next();
  std::vector<Fragments> in(32);
  for (uint32_t t = 0; t < 32; ++t) {
    for (uint32_t v = 0; v < 8; ++v) {
      const uint32_t at = offsetOf(kThreadOfA, t) + offsetOf(kValueOfA, v);
      in[t].a[v / 2] |= static_cast<uint32_t>(bitsOf(static_cast<float>(a[at % 16][at / 16]), half)) << (16 * (v % 2));
    }
    for (uint32_t v = 0; v < 4; ++v) {
      const uint32_t at = offsetOf(kThreadOfB, t) + offsetOf(kValueOfB, v);
      in[t].b[v / 2] |= static_cast<uint32_t>(bitsOf(static_cast<float>(b[at / 8][at % 8]), half)) << (16 * (v % 2));
      const uint32_t to = offsetOf(kThreadOfC, t) + offsetOf(kValueOfC, v);
      in[t].d[v] = static_cast<float>(c[to % 16][to / 16]);
    }
  }
  Buffer from(32 * sizeof(Fragments)), to(128 * sizeof(float));
  from.write(in);
  start({1, 32}, half ? product<true> : product<false>, from.as<const Fragments>(), to.as<float>());
  const auto got = to.read<float>(128);
  for (uint32_t t = 0; t < 32; ++t) {
    for (uint32_t v = 0; v < 4; ++v) {
      const uint32_t at = offsetOf(kThreadOfC, t) + offsetOf(kValueOfC, v), m = at % 16, n = at / 16;
      int sum = c[m][n];
      for (int k = 0; k < 16; ++k) sum += a[m][k] * b[k][n];
      SIMT_EXPECT(got[t * 4 + v] == static_cast<float>(sum));
    }
  }
}

using Matrices = __attribute__((aligned(16))) uint16_t[256];

template <bool kTransposed>
__global__ void load(const uint16_t* in, uint32_t* out) {
  SHARED(Matrices, tile);
  for (unsigned i = threadIdx.x; i < 256; i += 32) tile[i] = in[i];
  __syncwarp();
  uint32_t r[4];
  if (kTransposed) {
    ldmatrix4Transposed(r, tile + threadIdx.x * 8);
  } else {
    ldmatrix4(r, tile + threadIdx.x * 8);
  }
  for (unsigned i = 0; i < 4; ++i) out[threadIdx.x * 4 + i] = r[i];
}

// Rows one after another, so that source bits are those of memory.
void testLoad(bool transposed) {
  std::vector<uint16_t> in(256);
  uint32_t x = 777;
  for (uint16_t& v : in) v = static_cast<uint16_t>((x = x * 1664525 + 1013904223) >> 16);
  Buffer from(512), to(512);
  from.write(in);
  start({1, 32}, transposed ? load<true> : load<false>, from.as<const uint16_t>(), to.as<uint32_t>());
  const auto got = to.read<uint32_t>(128);
  for (uint32_t t = 0; t < 32; ++t) {
    for (uint32_t bit = 0; bit < 128; ++bit) {
      const uint32_t at = transposed ? offsetOf(kThreadOfTransposed, t) + offsetOf(kValueOfTransposed, bit)
                                     : offsetOf(kThreadOfLoad, t) + offsetOf(kValueOfLoad, bit);
      SIMT_EXPECT((got[t * 4 + bit / 32] >> bit % 32 & 1) == static_cast<uint32_t>(in[at / 16] >> at % 16 & 1));
    }
  }
}

enum Fault { kNone, kSeeded };

template <Fault kFault, bool kTransposed>
__global__ void loadWritten(uint32_t* out) {
  SHARED(Matrices, tile);
  for (unsigned i = 0; i < 8; ++i) tile[threadIdx.x * 8 + i] = 0;
  __syncwarp();
  for (unsigned i = 0; i < 8; ++i) tile[threadIdx.x * 8 + i] = static_cast<uint16_t>(threadIdx.x);
  if (kFault == kNone) __syncwarp();
  uint32_t r[4];
  if (kTransposed) {
    ldmatrix4Transposed(r, tile + threadIdx.x * 8);  // seeded: transposed without syncwarp
  } else {
    ldmatrix4(r, tile + threadIdx.x * 8);  // seeded: loaded without syncwarp
  }
  out[threadIdx.x] = r[0];
}

__global__ void loadRows(uint32_t* out, unsigned step) {
  SHARED(Matrices, tile);
  for (unsigned i = 0; i < 8; ++i) tile[threadIdx.x * 8 + i] = 0;
  __syncwarp();
  uint32_t r[4];
  ldmatrix4(r, tile + threadIdx.x * step);  // seeded: a row's address
  out[threadIdx.x] = r[3];
}

}  // namespace

void testTensor() {
  for (const bool flag : {false, true}) {
    eachSeed(4, [&](uint64_t) {
      testProduct(flag);
      testLoad(flag);
    });
  }
  const auto written = [](auto kernel) {
    return [=] {
      Buffer out(128);
      start({1, 32}, kernel, out.as<uint32_t>());
    };
  };
  expectFinding(__FILE__, "loaded without syncwarp", finding::kRace, written(loadWritten<kSeeded, false>));
  expectFinding(__FILE__, "transposed without syncwarp", finding::kRace, written(loadWritten<kSeeded, true>));
  expectClean("loaded", written(loadWritten<kNone, false>));
  expectClean("transposed", written(loadWritten<kNone, true>));
  const auto rows = [](unsigned step) {
    return [step] {
      Buffer out(128);
      start({1, 32}, loadRows, out.as<uint32_t>(), step);
    };
  };
  expectFinding(__FILE__, "a row's address", finding::kMisaligned, rows(7));
  expectFinding(__FILE__, "a row's address", finding::kOutOfBounds, rows(16));
  expectClean("a row's address", rows(8));
}

}  // namespace quipu::simt::test
