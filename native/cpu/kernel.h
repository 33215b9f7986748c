// What a CPU kernel is: one function that every thread of the pool calls with the same op ("single program, multiple
// data"). Threads share work by taking task numbers from a common counter; which thread takes a task never changes a
// bit of the result. The backend puts a barrier after every op.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

#include "core/dtype.h"
#include "core/error.h"
#include "core/op_table.h"

namespace quipu::cpu {

struct View {
  void* data;
  DType dtype;
  uint32_t dims[4];  // 1 beyond the tensor's rank
  uint32_t bound;    // of an index operand's contents, which lie in [−1, bound); 0 where nothing is promised

  template <typename T>
  T* as() const {
    return static_cast<T*>(data);
  }
};

struct OpCall {
  const View* operands;  // in the order of core/op_table.h
  uint32_t operandCount;
  const uint32_t* attributes;  // words; f32 attributes as bits

  const View& operator[](uint32_t index) const { return operands[index]; }
  float floatAttribute(uint32_t index) const { return std::bit_cast<float>(attributes[index]); }
};

// A thread's side of the op that is running.
class Worker {
 public:
  virtual ~Worker() = default;

  // Takes the next task number below `tasks`, or returns `tasks` when none is left or the run was cancelled. Numbering
  // starts again after barrier(). Looked at often (every ~1 ms of work) so that cancellation is prompt.
  virtual size_t next(size_t tasks) = 0;
  // Waits for all threads. Every thread must call it equally often within an op. False: the run was cancelled, and the
  // kernel returns at once.
  virtual bool barrier() = 0;
  // Ends the run with an error once the op is finished (the first one reported wins).
  virtual void fail(ErrorCode code, uint32_t row) = 0;

  uint32_t index = 0;            // of this thread, 0 ≤ index < count
  uint32_t count = 1;            // threads of the pool
  std::byte* scratch = nullptr;  // this thread's, at least Kernel::scratchBytes, 64-byte aligned
  std::byte* shared = nullptr;   // of the op, at least Kernel::sharedBytes, 64-byte aligned
};

struct Kernel {
  void (*run)(const OpCall& call, Worker& worker) = nullptr;
  size_t (*scratchBytes)(const OpCall& call) = nullptr;  // null: none needed. Depends on shapes and dtypes alone
  size_t (*sharedBytes)(const OpCall& call) = nullptr;
};

// All kernels of one instruction set. Each target_<isa>.cc fills one from the same kernels/<op>.h.
struct Target {
  const char* name;  // "scalar", "avx2", "avx512": the values of QUIPU_CPU
  Kernel kernels[kOpCount];
  // `iterations` rounds of independent fused multiply-adds in registers; returns the floating-point operations done.
  double (*multiplyAddLoop)(uint64_t iterations);
  // Reads [data, data + bytes) once, 64-byte aligned; returns a value that depends on all of it.
  uint64_t (*readLoop)(const void* data, size_t bytes);
};

const Target& scalarTarget();
#if defined(__x86_64__)
const Target& avx2Target();
const Target& avx512Target();
#endif

}  // namespace quipu::cpu
