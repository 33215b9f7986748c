// mma.m16n8k16 and ldmatrix, from the fragments as the PTX ISA describes them ("Matrix fragments for mma.m16n8k16 with
// floating point type", "ldmatrix"); test/native/simt holds them against tables of another source.
#include <bit>

#include "simt/access.h"
#include "simt/gpu.h"
#include "simt/grid.h"
#include "simt/meeting.h"
#include "simt/report.h"
#include "simt/settings.h"

namespace quipu::simt {

namespace {

constexpr uint32_t kAllLanes = 0xffffffff;
constexpr uint32_t kRows = 16, kColumns = 8, kDepth = 16;

template <Pairs kPairs>
float numberOf(uint32_t pair, uint32_t which) {
  const auto bits = static_cast<uint16_t>(pair >> (16 * which));
  return kPairs == Pairs::kHalf ? floatOfHalf(bits) : std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
}

// With groupID = lane / 4 and threadInGroup = lane % 4, element i of a thread's fragments is
//   a: row groupID (+ 8 for i in 2, 3, 6, 7), column threadInGroup · 2 + (i & 1) (+ 8 for i ≥ 4)
//   b: row threadInGroup · 2 + (i & 1) (+ 8 for i ≥ 2), column groupID
//   d: row groupID (+ 8 for i ≥ 2), column threadInGroup · 2 + (i & 1)
// Sums are in f32 with k ascending; the hardware's order and rounding are its own.
template <Pairs kPairs>
void performProduct(Warp& warp, uint32_t) {
  float a[kRows][kDepth], b[kDepth][kColumns];
  for (uint32_t lane = 0; lane < 32; ++lane) {
    const Operands& o = warp.threads[lane].operands;
    const uint32_t group = lane / 4, member = lane % 4;
    for (uint32_t i = 0; i < 8; ++i) {
      a[group + (i & 2 ? 8 : 0)][member * 2 + (i & 1) + (i >= 4 ? 8 : 0)] = numberOf<kPairs>(o.a[i / 2], i % 2);
    }
    for (uint32_t i = 0; i < 4; ++i) {
      b[member * 2 + (i & 1) + (i >= 2 ? 8 : 0)][group] = numberOf<kPairs>(o.b[i / 2], i % 2);
    }
  }
  float d[kRows][kColumns] = {};
  for (uint32_t row = 0; row < kRows; ++row) {
    for (uint32_t k = 0; k < kDepth; ++k) {
      for (uint32_t column = 0; column < kColumns; ++column) d[row][column] += a[row][k] * b[k][column];
    }
  }
  for (uint32_t lane = 0; lane < 32; ++lane) {
    float* to = warp.threads[lane].operands.d;
    for (uint32_t i = 0; i < 4; ++i) to[i] += d[lane / 4 + (i >= 2 ? 8 : 0)][lane % 4 * 2 + (i & 1)];
  }
}

const uint16_t* rowOf(const Warp& warp, uint32_t matrix, uint32_t row) {
  return static_cast<const uint16_t*>(warp.threads[matrix * 8 + row].operands.row);
}

// The thread that gets element [row][column] of a matrix.
uint32_t takerOf(uint32_t row, uint32_t column, bool transposed) {
  return transposed ? column * 4 + row / 2 : row * 4 + column / 2;
}

template <bool kTransposed>
void performLoad(Warp& warp, uint32_t) {
  const void* code = warp.threads[0].operands.code;
  for (uint32_t matrix = 0; matrix < 4; ++matrix) {
    for (uint32_t row = 0; row < 8; ++row) {
      const uint16_t* from = rowOf(warp, matrix, row);
      if (settings().checks != Checks::kNone) {
        for (uint32_t column = 0; column < 8; column += 2) {
          readAs(warp.threads[takerOf(row, column, kTransposed)], from + column, 4, code);
          if (kTransposed) readAs(warp.threads[takerOf(row, column + 1, true)], from + column, 4, code);
        }
      }
      for (uint32_t column = 0; column < 8; ++column) {
        uint32_t& to = warp.threads[takerOf(row, column, kTransposed)].operands.r[matrix];
        const uint32_t shift = 16 * ((kTransposed ? row : column) % 2);
        to = (to & ~(uint32_t{0xffff} << shift)) | static_cast<uint32_t>(from[column]) << shift;
      }
    }
  }
}

// Instructions for whole warps: all 32 lanes are there.
void requireWarp(const char* what, Site site) {
  if (current->warp->live == kAllLanes) return;
  fail(finding::kCollective, std::string(what) + " in a warp of fewer than 32 threads", placeOf(site));
}

}  // namespace

void multiply(Pairs pairs, float* d, const uint32_t* a, const uint32_t* b, Site site) {
  const InLibrary inside;
  requireWarp("a product of matrices", site);
  Operands& o = current->operands;
  o.d = d;
  o.a = a;
  o.b = b;
  meet(kAllLanes, pairs == Pairs::kBf16 ? &performProduct<Pairs::kBf16> : &performProduct<Pairs::kHalf>, site);
}

void loadMatrices(uint32_t* r, const void* row, bool transposed, Site site) {
  const InLibrary inside;
  void* code = __builtin_return_address(0);
  requireWarp("ldmatrix", site);
  requireVector(row, true, "a row of ldmatrix", code);
  Operands& o = current->operands;
  o.r = r;
  o.row = row;
  o.code = code;
  meet(kAllLanes, transposed ? &performLoad<true> : &performLoad<false>, site);
}

}  // namespace quipu::simt
