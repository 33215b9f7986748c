// One op of a run as its kernels get it, and what they have to say.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/error.h"
#include "core/op_table.h"
#include "cuda/gpu.h"

namespace quipu::cuda {

// A tensor in the device's memory.
struct View {
  void* data;
  DType dtype;
  uint32_t dims[4];  // 1 beyond the rank; a first dim that is rows is the run's
  uint32_t bound;    // of index contents
  const float* scales =
      nullptr;  // [dims[0]], of matrices that were bf16 (kernels/scaled_half.h): elements count times their row's

  template <typename T>
  __host__ __device__ T* as() const {
    return static_cast<T*>(data);
  }
};

// What a run comes to, in the device's memory.
struct RunState {
  static constexpr unsigned long long kNone = ~0ull;

  unsigned long long failure;  // the least word of what ended it (core/failure.h: the first op's); kNone
  uint32_t byRow;              // rows that fail leave the others alone
  uint32_t failed;             // rows that did
  unsigned long long rows[1];  // theirs, in no order: as many as the program has rows that may
};

// What launches ask of a GPU: none of it changes a bit of a result.
struct Gpu {
  uint32_t processors;   // for kernels whose blocks go on from one part of their work to the next
  size_t sharedOfBlock;  // the most shared memory that a block may have
};

// Kernels of one stream, one after another. The first error stays.
class Launches {
 public:
  Launches(cudaStream_t stream, const Gpu& gpu) : stream_(stream), gpu_(gpu) {}

  uint32_t processors() const { return gpu_.processors; }
  size_t sharedOfBlock() const { return gpu_.sharedOfBlock; }

  cudaError_t error() const { return error_; }
  cudaStream_t stream() const { return stream_; }

  // `grid` blocks; none at all are no launch. The kernel may begin while the one before ends, up to its wait.
  template <typename... Expected, typename... Given>
  void operator()(dim3 grid, uint32_t threads, size_t sharedBytes, void (*kernel)(Expected...), Given... arguments) {
    if (error_ != cudaSuccess || grid.x == 0 || grid.y == 0 || grid.z == 0) return;
    if (sharedBytes > 48 * 1024) {
      error_ = cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel), cudaFuncAttributeMaxDynamicSharedMemorySize,
                                    static_cast<int>(sharedBytes));
      if (error_ != cudaSuccess) return;
    }
    cudaLaunchAttribute overlap = {};
    overlap.id = cudaLaunchAttributeProgrammaticStreamSerialization;
    overlap.val.programmaticStreamSerializationAllowed = 1;
    cudaLaunchConfig_t config = {};
    config.gridDim = grid;
    config.blockDim = dim3(threads);
    config.dynamicSmemBytes = sharedBytes;
    config.stream = stream_;
    config.attrs = &overlap;
    config.numAttrs = 1;
    error_ = cudaLaunchKernelEx(&config, kernel, static_cast<Expected>(arguments)...);
  }

 private:
  cudaStream_t stream_;
  Gpu gpu_;
  cudaError_t error_ = cudaSuccess;
};

struct OpCall {
  const View* operands;  // in the order of core/op_table.h
  uint32_t operandCount;
  const uint32_t* attributes;
  uint32_t op;  // in the program
  RunState* state;
  std::byte* workspace;  // as many bytes as the op's kernels ask for

  const View& operator[](uint32_t index) const { return operands[index]; }
  bool has(uint32_t index) const { return index < operandCount; }
  float floatAttribute(uint32_t index) const {
    float value;
    __builtin_memcpy(&value, attributes + index, 4);
    return value;
  }
};

// Bytes as a product and as a sum: what does not fit is kTooMany, which no memory has.
constexpr size_t kTooMany = SIZE_MAX;
inline size_t times(unsigned __int128 count, unsigned __int128 each) {
  const bool fits = (count >> 64) == 0 && (each >> 64) == 0 && (count * each) >> 64 == 0;
  return fits ? static_cast<size_t>(count * each) : kTooMany;
}
inline size_t plus(size_t a, size_t b) { return a > kTooMany - b ? kTooMany : a + b; }

// An op's kernels: what they need of workspace with as many rows as the operands say, and their launches.
struct OpKernels {
  size_t (*workspaceBytes)(const OpCall& call);  // null: none; kTooMany: more than there can be
  void (*launch)(const OpCall& call, Launches& launches);
};

// Null for an op that has none here.
const OpKernels* kernelsOf(OpCode code);

constexpr uint32_t blocksOf(size_t count, uint32_t of) { return static_cast<uint32_t>((count + of - 1) / of); }

}  // namespace quipu::cuda
