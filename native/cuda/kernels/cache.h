// Where a row's keys and values lie in the cache, and the checks that keep any contents inside it.
#pragma once

#include "cuda/kernels/elements.h"

namespace quipu::cuda {

// Of a token: where it goes in the cache, page · 64 + place, or why it goes nowhere.
constexpr int32_t kPadding = -1, kNoPage = -2;

struct Cache {
  View keys, values;            // [pages, G, d, 64] and [pages, G, 64, d]
  View keyScales, valueScales;  // [pages, G, 64] of i8; else without data
  View slots, positions, pageTable;

  __host__ __device__ uint32_t heads() const { return keys.dims[1]; }
  __host__ __device__ uint32_t size() const { return keys.dims[2]; }
  __device__ bool padding(uint32_t row) const {
    return slots.as<int32_t>()[row] < 0 || positions.as<int32_t>()[row] < 0;
  }
  // The page of a block of the slot's positions; −1 where the table, or an index, names none.
  __device__ int32_t page(int32_t slot, uint32_t block) const {
    if (uint32_t(slot) >= pageTable.dims[0] || block >= pageTable.dims[1]) return -1;
    const int32_t page = pageTable.as<int32_t>()[size_t(slot) * pageTable.dims[1] + block];
    return page >= 0 && uint32_t(page) < keys.dims[0] ? page : -1;
  }
  __device__ int32_t placeOf(uint32_t row) const {
    if (padding(row)) return kPadding;
    const auto position = uint32_t(positions.as<int32_t>()[row]);
    const int32_t of = page(slots.as<int32_t>()[row], position / kPageKeys);
    return of < 0 ? kNoPage : of * int32_t(kPageKeys) + int32_t(position % kPageKeys);
  }
  // Where element c of a key, of a value, and of their scales lie.
  __device__ size_t keyAt(uint32_t page, uint32_t head, uint32_t key, uint32_t c) const {
    const size_t first = (size_t(page) * heads() + head) * size() * kPageKeys;
    // Codes lie in fours of a key, but for those that are left (docs/numerics.md).
    if (keys.dtype == DType::kI8 && c < size() / 4 * 4) return first + (c / 4 * kPageKeys + key) * 4 + c % 4;
    return first + size_t(c) * kPageKeys + key;
  }
  __device__ size_t scaleAt(uint32_t page, uint32_t head, uint32_t key) const {
    return (size_t(page) * heads() + head) * kPageKeys + key;
  }
  __device__ size_t valueAt(uint32_t page, uint32_t head, uint32_t key, uint32_t c) const {
    return scaleAt(page, head, key) * size() + c;
  }
  // An element of f32 or f16.
  static __device__ void set(const View& of, size_t at, float value) {
    if (of.dtype == DType::kF32) {
      of.as<float>()[at] = value;
    } else {
      of.as<uint16_t>()[at] = value != value ? 0x7E00 : halfBits(value);  // one NaN, as on the CPU
    }
  }
};

// Which operands of an op are its cache.
struct CacheOperands {
  uint32_t keys, values, slots, positions, pageTable, keyScales, valueScales;
};

inline Cache cacheOf(const OpCall& call, const CacheOperands& at) {
  const bool scaled = call.has(at.keyScales);
  return {call[at.keys],
          call[at.values],
          scaled ? call[at.keyScales] : View{},
          scaled ? call[at.valueScales] : View{},
          call[at.slots],
          call[at.positions],
          call[at.pageTable]};
}

// Vectors of an i8 cache are rotated where their size is a power of two from 16 on.
__host__ __device__ inline bool rotates(uint32_t size) { return size >= 16 && (size & (size - 1)) == 0; }

// x in shared memory times the Hadamard matrix of its size, by a block; what was written to it before is seen.
template <uint32_t kThreads>
__device__ inline void rotateShared(float* x, uint32_t size) {
  for (uint32_t apart = 1; apart < size; apart *= 2) {
    __syncthreads();
    for (uint32_t i = threadIdx.x; i < size / 2; i += kThreads) {
      const uint32_t c = i / apart * 2 * apart + i % apart;
      const float a = x[c], b = x[c + apart];
      x[c] = a + b;
      x[c + apart] = a - b;
    }
  }
  __syncthreads();
}

// cache.cu: keys and values [T, G · d] into their pages.
void appendRows(const float* k, const float* v, uint32_t rows, const Cache& cache, RunState* state, uint32_t op,
                Launches& launches);

}  // namespace quipu::cuda
