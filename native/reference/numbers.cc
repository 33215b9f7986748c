// Stored elements as numbers, and back.
#include <cmath>
#include <cstring>

#include "reference/kernels.h"

namespace quipu::reference {

namespace {

template <typename T>
T stored(const std::byte* data, size_t index) {
  T value;
  memcpy(&value, data + index * sizeof(T), sizeof(T));
  return value;
}

template <typename T>
void store(std::byte* data, size_t index, T value) {
  memcpy(data + index * sizeof(T), &value, sizeof(T));
}

}  // namespace

double halfOf(uint16_t bits) {
  const double sign = bits & 0x8000 ? -1 : 1;
  const int exponent = (bits >> 10) & 31, fraction = bits & 1023;
  if (exponent == 31) return fraction == 0 ? sign * INFINITY : NAN;
  return sign * (exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024 + fraction, exponent - 25));
}

uint16_t halfBits(double value) {
  const uint16_t sign = std::signbit(value) ? 0x8000 : 0;
  const double size = std::fabs(value);
  if (std::isnan(value)) return 0x7E00;
  if (size >= 65520) return sign | 0x7C00;  // what rounds beyond 65504
  // Steps of the spacing at this size; what is rounded up to the next power of two carries into the exponent by itself.
  const int exponent = size < 0x1p-14 ? -14 : std::ilogb(size);
  const auto steps = static_cast<int>(std::nearbyint(std::ldexp(size, 10 - exponent)));
  return static_cast<uint16_t>(sign | (steps + (exponent + 14) * 1024));
}

double Operand::operator[](size_t index) const {
  switch (dtype) {
    case DType::kF32:
      return stored<float>(data, index);
    case DType::kF16:
      return halfOf(stored<uint16_t>(data, index));
    case DType::kBF16:
      return std::bit_cast<float>(static_cast<uint32_t>(stored<uint16_t>(data, index)) << 16);
    case DType::kI32:
      return stored<int32_t>(data, index);
    case DType::kI8:
      return stored<int8_t>(data, index);
    case DType::kQ8:
    case DType::kQ6:
    case DType::kQ4:
      return packedNumber(*this, index);
  }
  return NAN;
}

int32_t Operand::index(size_t index) const { return stored<int32_t>(data, index); }

void Operand::set(size_t index, double value) const {
  switch (dtype) {
    case DType::kF32:
      return store(data, index, static_cast<float>(value));
    case DType::kF16:
      return store(data, index, halfBits(value));
    case DType::kI32:
      return store(data, index, static_cast<int32_t>(value));
    case DType::kI8:
      return store(data, index, static_cast<int8_t>(value));
    case DType::kBF16:
    case DType::kQ8:
    case DType::kQ6:
    case DType::kQ4:
      return;  // no op writes weights, and codes are written with their scales
  }
}

double halfNumber(double value) { return halfOf(halfBits(value)); }

Kernel kernelOf(OpCode code) {
  switch (code) {
    case OpCode::kGatherRows:
      return gatherRows;
    case OpCode::kRmsNorm:
      return rmsNorm;
    case OpCode::kMatmul:
      return matmul;
    case OpCode::kAdd:
      return add;
    case OpCode::kRopeAngles:
      return ropeAngles;
    case OpCode::kRope:
      return rope;
    case OpCode::kAppendKv:
      return appendKv;
    case OpCode::kAttention:
      return attention;
    case OpCode::kSwiglu:
      return swiglu;
    case OpCode::kSample:
      return sample;
    case OpCode::kAdvance:
      return advance;
    case OpCode::kMatmulAdd:
      return matmulAdd;
    case OpCode::kMatmulSwiglu:
      return matmulSwiglu;
    case OpCode::kNormMatmulSwiglu:
      return normMatmulSwiglu;
    case OpCode::kNormQkv:
      return normQkv;
    case OpCode::kMatmulSample:
      return matmulSample;
    case OpCode::kGatherNorm:
      return gatherNorm;
    case OpCode::kResume:
      return resume;
    case OpCode::kQuantize:
      return quantize;
    case OpCode::kMatmulPlain:
      return matmulPlain;
    case OpCode::kMatmulOverRows:
      return matmulOverRows;
    case OpCode::kAccumulate:
      return accumulate;
    case OpCode::kScatterAddRows:
      return scatterAddRows;
    case OpCode::kRmsNormBackward:
      return rmsNormBackward;
    case OpCode::kRopeBackward:
      return ropeBackward;
    case OpCode::kSwigluBackward:
      return swigluBackward;
    case OpCode::kAttentionBackward:
      return attentionBackward;
    case OpCode::kCrossEntropy:
      return crossEntropy;
    case OpCode::kTokenLogprobs:
      return tokenLogprobs;
    case OpCode::kSumSquares:
      return sumSquares;
    case OpCode::kClipNorm:
      return clipNorm;
    case OpCode::kAdamW:
      return adamW;
    case OpCode::kNesterov:
      return nesterov;
    case OpCode::kDivideByNorm:
      return divideByNorm;
    case OpCode::kCombine:
      return combine;
    case OpCode::kTranspose:
      return transpose;
    case OpCode::kNorMuon:
      return norMuon;
    case OpCode::kMovingAverage:
      return movingAverage;
  }
  return nullptr;
}

}  // namespace quipu::reference
