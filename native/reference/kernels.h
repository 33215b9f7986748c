// The reference device's kernels: what every op means, as plain loops over numbers in float64, rounded once where a
// result is stored. They are what other devices are held against, so they share nothing with any of them.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "core/error.h"
#include "core/formats.h"
#include "core/op_table.h"

namespace quipu::reference {

// A tensor of a call. Elements are numbers, whatever they are stored as.
struct Operand {
  std::byte* data;
  DType dtype;
  size_t dims[4];  // 1 beyond the rank
  uint32_t bound;  // of index contents

  double operator[](size_t index) const;
  int32_t index(size_t index) const;  // of i32 contents
  // Rounded to nearest, ties to even; integers must be whole.
  void set(size_t index, double value) const;
};

// f16: the number of its bits, the bits of the nearest, and a number rounded.
double halfOf(uint16_t bits);
uint16_t halfBits(double value);
double halfNumber(double value);

// x times the Hadamard matrix of its size, a power of two, in place: of ones with signs, by butterflies, each sum
// rounded to Number.
template <typename Number>
void rotate(std::span<Number> x) {
  for (size_t apart = 1; apart < x.size(); apart *= 2) {
    for (size_t c = 0; c < x.size(); ++c) {
      if ((c & apart) != 0) continue;
      const Number a = x[c], b = x[c + apart];
      x[c] = a + b;
      x[c + apart] = a - b;
    }
  }
}

// The same of a block of 32, times a power of two, as docs/numerics.md has it (packed.cc).
void rotateBlock(float (&block)[32], float by);

// An element of a packed matrix (packed.cc).
double packedNumber(const Operand& matrix, size_t index);

// A block of 32 of q8 or q6, or what is left of a row: the scale and the codes.
struct ScaledBlock {
  float scale = 0;
  int8_t codes[32] = {};
};

// A superblock of 256 of q4, or what is left of a row: what scales and minimums are multiples of, these by 32, the
// codes.
struct SuperBlock {
  float scale = 0, minimum = 0;
  uint8_t scales[8] = {}, minimums[8] = {}, codes[256] = {};
};

// Stored from column `first` of a row on.
void storePacked(const Operand& matrix, size_t row, size_t first, const ScaledBlock& block);
void storePacked(const Operand& matrix, size_t row, size_t first, const SuperBlock& block);

struct Call {
  std::vector<Operand> operands;  // in the order of core/op_table.h
  const uint32_t* attributes;

  const Operand& operator[](uint32_t index) const { return operands[index]; }
  double floatAttribute(uint32_t index) const { return std::bit_cast<float>(attributes[index]); }
};

// Notes what is wrong with a row; false where that ends the run.
using Fail = std::function<bool(ErrorCode code, uint32_t row)>;
using Kernel = void (*)(const Call& call, const Fail& fail);

// Null for an op that the reference does not have.
Kernel kernelOf(OpCode code);

// linear.cc
void gatherRows(const Call& call, const Fail& fail);
void rmsNorm(const Call& call, const Fail& fail);
void matmul(const Call& call, const Fail& fail);
void add(const Call& call, const Fail& fail);
void swiglu(const Call& call, const Fail& fail);
void matmulAdd(const Call& call, const Fail& fail);
void matmulSwiglu(const Call& call, const Fail& fail);
// fused.cc
void normMatmulSwiglu(const Call& call, const Fail& fail);
void normQkv(const Call& call, const Fail& fail);
void gatherNorm(const Call& call, const Fail& fail);
void matmulSample(const Call& call, const Fail& fail);
// quantize.cc
void quantize(const Call& call, const Fail& fail);
// attention.cc
void ropeAngles(const Call& call, const Fail& fail);
void rope(const Call& call, const Fail& fail);
void appendKv(const Call& call, const Fail& fail);
void attention(const Call& call, const Fail& fail);
// training.cc
void matmulPlain(const Call& call, const Fail& fail);
void matmulOverRows(const Call& call, const Fail& fail);
void accumulate(const Call& call, const Fail& fail);
void scatterAddRows(const Call& call, const Fail& fail);
void rmsNormBackward(const Call& call, const Fail& fail);
void ropeBackward(const Call& call, const Fail& fail);
void swigluBackward(const Call& call, const Fail& fail);
void attentionBackward(const Call& call, const Fail& fail);
void crossEntropy(const Call& call, const Fail& fail);
void tokenLogprobs(const Call& call, const Fail& fail);
void sumSquares(const Call& call, const Fail& fail);
void clipNorm(const Call& call, const Fail& fail);
void adamW(const Call& call, const Fail& fail);
// muon.cc
void nesterov(const Call& call, const Fail& fail);
void divideByNorm(const Call& call, const Fail& fail);
void combine(const Call& call, const Fail& fail);
void transpose(const Call& call, const Fail& fail);
void norMuon(const Call& call, const Fail& fail);
void movingAverage(const Call& call, const Fail& fail);
// sample.cc
void sample(const Call& call, const Fail& fail);
void advance(const Call& call, const Fail& fail);
void resume(const Call& call, const Fail& fail);

}  // namespace quipu::reference
