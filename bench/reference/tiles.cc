// What tiles of vpdpbusd (AVX-512 VNNI) reach of its peak, by what stands beside it, written apart from native (bench/tiles.js):
//
//   g++ -std=c++20 -O3 -fno-tree-ter -fno-tree-reassoc -mavx512f -mavx512bw -mavx512vnni tiles.cc -o tiles && ./tiles
//
// A tile is G groups of sixteen weight rows by C rows of activations; blocks of 32 k, 256 k in all, operands in L1. For each tile one line:
// G C and GOP/s of one thread for the dots alone, with a scale for every block (vcvtdq2ps and vfmadd), with codes of four bits that are
// unpacked on the way, and with both. By processor time, the best of forty.
#include <immintrin.h>
#include <time.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstring>

namespace {

constexpr int kBlocks = 8, kGroupBytes = kBlocks * 512, kRuns = 20'000;

alignas(64) uint8_t weights[4 * kGroupBytes];
alignas(64) int8_t activations[8 * kBlocks * 32];
alignas(64) float scales[4 * kBlocks * 16];

// As lanes: of __m512i, gcc 12 stores each sum of a tile after every addition.
typedef int32_t lanes16 __attribute__((vector_size(64)));
typedef float floats16 __attribute__((vector_size(64)));

inline lanes16 dot(lanes16 sum, __m512i w, const int8_t* a) {
  int32_t four;
  memcpy(&four, a, 4);
  return lanes16(_mm512_dpbusd_epi32(__m512i(sum), w, _mm512_set1_epi32(four)));
}

template <int kGroups, int kColumns, bool kScales, bool kNibbles>
__attribute__((noinline)) void tile(floats16* out) {
  lanes16 dots[kGroups][kColumns] = {};
  floats16 sums[kGroups][kColumns] = {};
  for (int block = 0; block < kBlocks; ++block) {
#pragma GCC unroll 8
    for (int k = 0; k < 16; k += 4) {
#pragma GCC unroll 8
      for (int g = 0; g < kGroups; ++g) {
        const uint8_t* codes = weights + g * kGroupBytes + block * 512 + k * 16;
        __m512i low = _mm512_load_si512(codes), high = low;
        if (kNibbles) {
          low = _mm512_and_si512(low, _mm512_set1_epi8(15));
          high = _mm512_and_si512(_mm512_srli_epi16(high, 4), _mm512_set1_epi8(15));
        } else {
          high = _mm512_load_si512(codes + 256);
        }
        const int8_t* a = activations + block * 32 + k;
#pragma GCC unroll 8
        for (int c = 0; c < kColumns; ++c) dots[g][c] = dot(dots[g][c], low, a + c * kBlocks * 32);
#pragma GCC unroll 8
        for (int c = 0; c < kColumns; ++c) dots[g][c] = dot(dots[g][c], high, a + c * kBlocks * 32 + 16);
      }
    }
    if (!kScales) continue;
#pragma GCC unroll 8
    for (int g = 0; g < kGroups; ++g) {
      const __m512 scale = _mm512_load_ps(scales + (g * kBlocks + block) * 16);
#pragma GCC unroll 8
      for (int c = 0; c < kColumns; ++c) {
        sums[g][c] = floats16(_mm512_fmadd_ps(_mm512_cvtepi32_ps(__m512i(dots[g][c])), scale, __m512(sums[g][c])));
        dots[g][c] = lanes16{};
      }
    }
  }
  for (int g = 0; g < kGroups; ++g) {
    for (int c = 0; c < kColumns; ++c) {
      *out++ = sums[g][c] + floats16(_mm512_cvtepi32_ps(__m512i(dots[g][c])));
    }
  }
}

double now() {
  timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return double(t.tv_sec) + double(t.tv_nsec) * 1e-9;
}

template <int kGroups, int kColumns, bool kScales, bool kNibbles>
void measure() {
  floats16 out[kGroups * kColumns];
  double best = 1e9;
  for (int round = 0; round < 40; ++round) {
    const double start = now();
    for (int i = 0; i < kRuns; ++i) {
      tile<kGroups, kColumns, kScales, kNibbles>(out);
      asm volatile("" : : "r"(out) : "memory");
    }
    best = std::min(best, (now() - start) / kRuns);
  }
  printf(" %.0f", 2.0 * kGroups * 16 * kColumns * kBlocks * 32 / best / 1e9);
}

template <int kGroups, int kColumns>
void line() {
  printf("%d %d", kGroups, kColumns);
  measure<kGroups, kColumns, false, false>();
  measure<kGroups, kColumns, true, false>();
  measure<kGroups, kColumns, false, true>();
  measure<kGroups, kColumns, true, true>();
  printf("\n");
}

}  // namespace

int main() {
  line<1, 8>();
  line<2, 4>();
  line<2, 6>();
  line<3, 4>();
}
