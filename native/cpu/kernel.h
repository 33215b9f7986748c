// What a CPU kernel is: one to four phases, each a count of independent tasks and a function that does some of them.
// The threads of a run share the tasks out; which thread takes a task never changes a bit of the result. A phase begins
// when all tasks before it are done.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

#include "core/error.h"
#include "core/formats.h"
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

// A thread's side of the phase that is open.
class Worker {
 public:
  // Takes the next task of the phase; false when none is left or the run was cancelled. Looked at often (every ~1 ms of
  // work) so that cancellation is prompt.
  virtual bool next(size_t& task) = 0;
  // Ends the run with an error (the first one reported wins); tasks that are not taken yet are left out.
  virtual void fail(ErrorCode code, uint32_t row) = 0;

  uint32_t threads = 1;          // that the run may use: Phase::tasks was told the same
  std::byte* scratch = nullptr;  // this thread's, at least Kernel::scratchBytes, 64-byte aligned
  std::byte* shared = nullptr;   // of the op, at least Kernel::sharedBytes, 64-byte aligned

 protected:
  ~Worker() = default;
};

struct Phase {
  // How many tasks there are; 0 leaves the phase out. Called when all before it is done, so contents may count.
  size_t (*tasks)(const OpCall& call, uint32_t threads) = nullptr;
  // Called by every thread that has a task: what it prepares before it takes the first is done once a thread.
  void (*run)(const OpCall& call, Worker& worker) = nullptr;
};

inline constexpr uint32_t kMaxPhases = 4;

struct Kernel {
  Phase phases[kMaxPhases];  // in order; those without a function are none
  // Null: none needed. Depends on shapes and dtypes alone, and is enough for every smaller number of rows too: a
  // program is asked once, with those of its capacity.
  size_t (*scratchBytes)(const OpCall& call) = nullptr;
  size_t (*sharedBytes)(const OpCall& call) = nullptr;
};

// All kernels of one instruction set. Each target_<isa>.cc fills one from the same kernels/<op>.h.
struct Target {
  const char* name;  // "scalar", "avx2", "avx-vnni", "avx512", "avx512-vnni": the values of QUIPU_CPU
  Kernel kernels[kOpCount];
  // `iterations` rounds of independent fused multiply-adds in registers; returns the floating-point operations done.
  double (*multiplyAddLoop)(uint64_t iterations);
  // The same of products of codes (simd/scalar_dots.h); returns the operations done, as the sums have counted them.
  double (*integerLoop)(uint64_t iterations);
  // Reads [data, data + bytes) once, 64-byte aligned, as so many streams side by side (1, 2, 4 or 8), each prefetched
  // so many bytes ahead; returns a value that depends on all of it.
  uint64_t (*readLoop)(const void* data, size_t bytes, uint32_t streams, size_t ahead);
};

const Target& scalarTarget();
#if defined(__x86_64__)
const Target& avx2Target();
const Target& avxVnniTarget();
const Target& avx512Target();
const Target& avx512VnniTarget();
#endif

}  // namespace quipu::cpu
