// Element types of tensors. The numbers are part of the program stream (src/graph/program.ts).
#pragma once

#include <cstddef>
#include <cstdint>

namespace quipu {

enum class DType : uint32_t { kF32 = 0, kF16 = 1, kBF16 = 2, kI32 = 3, kI8 = 4 };

inline constexpr uint32_t kDTypeCount = 5;

constexpr size_t bytesOf(DType dtype) {
  switch (dtype) {
    case DType::kF32:
    case DType::kI32:
      return 4;
    case DType::kF16:
    case DType::kBF16:
      return 2;
    case DType::kI8:
      return 1;
  }
  return 0;
}

constexpr const char* nameOf(DType dtype) {
  switch (dtype) {
    case DType::kF32:
      return "f32";
    case DType::kF16:
      return "f16";
    case DType::kBF16:
      return "bf16";
    case DType::kI32:
      return "i32";
    case DType::kI8:
      return "i8";
  }
  return "?";
}

}  // namespace quipu
