// A launch as it runs: grid, blocks, warps and threads. All of it belongs to the thread that emulates the device.
#pragma once

#include <bit>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "simt/fiber.h"
#include "simt/host_api.h"
#include "simt/memory.h"
#include "simt/ordering.h"
#include "simt/site.h"

namespace quipu::simt {

struct Block;
struct Grid;
struct Warp;

// What cudaLaunchKernelEx was given.
struct Launch {
  const void* kernel;
  std::shared_ptr<const Call> call;
  dim3 grid, block;
  size_t dynamicShared;
  bool programmatic;  // may begin before the kernel that is before it in its stream has ended
};

// What a thread brings to a meeting of its warp, and takes from it.
struct Operands {
  uint64_t value = 0;
  uint32_t argument = 0;
  int width = 0;
  float* d = nullptr;           // of a product
  const uint32_t* a = nullptr;  // of a product
  const uint32_t* b = nullptr;  // of a product
  uint32_t* r = nullptr;        // of ldmatrix
  const void* row = nullptr;    // of ldmatrix
  void* code = nullptr;         // where it was called
  uint64_t result = 0;
  bool wrong = false;  // asks a thread that is not there
};

// An async copy that was issued and not waited for.
struct PendingCopy {
  std::byte* to;
  const std::byte* from;  // null: zeros
  uint32_t group;         // of the thread's, counted from 0
  uint32_t site;
};

enum class State : uint8_t { kReady, kMeeting, kBarrier, kPredecessor, kDone };

constexpr size_t kStackBytes = 64 * 1024;

// A thread of a kernel: a fiber.
struct Thread {
  StackPointer stack = nullptr;
  std::byte* stackLow = nullptr;
  Block* block = nullptr;
  Warp* warp = nullptr;
  uint16_t index = 0;  // in its block
  uint8_t lane = 0;
  State state = State::kReady;
  bool waited = false;     // for the grid before
  bool inLibrary = false;  // not in the kernel's own code
  uint3 position = {};
  Site site = {};  // of what it waits in
  Operands operands;
  std::vector<PendingCopy> copies;
  uint32_t groups = 0;  // of copies, committed
  Known known;          // acquired
  Known released;       // by its last fence: what its atomics release
};

// Performs a collective for `lanes` of a warp, all of which wait.
using Perform = void (*)(Warp& warp, uint32_t lanes);

struct Meeting {
  uint32_t mask;
  uint32_t arrived;
  Perform perform;
  Site site;
};

struct Warp {
  Block* block = nullptr;
  Thread* threads = nullptr;  // its first
  uint32_t live = 0;          // lanes that exist and have not ended
  uint32_t stamp = 0;
  std::array<Stamps, 32> joined = {};  // [lane][other lane]
  std::vector<Meeting> meetings;       // of disjoint masks
};

// Shared memory of a block: what the launch asked for, and behind it the arrays, with gaps that belong to nothing.
struct SharedMemory {
  struct Array {
    const void* key;
    size_t offset;
    size_t bytes;
  };

  Region region;
  std::vector<Array> arrays;
  size_t used = 0;
  size_t staticBytes = 0;
};

struct Block {
  Grid* grid = nullptr;
  uint3 position = {};
  uint32_t serial = 0;  // through all launches
  uint32_t epoch = 0;   // barriers passed
  uint32_t live = 0;
  uint32_t atBarrier = 0;
  bool triggered = false;  // has let the successor start
  bool waited = false;     // one of its threads has waited for the predecessor
  Site barrier = {};
  std::vector<Thread> threads;
  std::vector<Warp> warps;
  std::vector<Thread*> ready;
  SharedMemory shared;
  Known known;  // of all its threads, by barriers
  std::byte* stacks = nullptr;
  size_t stackBytes = 0;

  Block();
  ~Block();
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;
};

struct Grid {
  std::shared_ptr<const Launch> launch;
  uint32_t first = 0;       // serial of its first block
  uint32_t chainFirst = 0;  // blocks before it were done when this grid began, whatever the schedule
  Grid* predecessor = nullptr;
  std::vector<uint32_t> order;  // in which its blocks begin
  uint32_t begun = 0, ended = 0, triggered = 0;
  uint32_t handOver = 0;  // chainFirst of its successor
  bool waited = false;
  bool done = false;

  uint32_t blocks() const { return static_cast<uint32_t>(order.size()); }
  uint32_t end() const { return first + blocks(); }
};

// The thread that runs; null outside of kernels, and on every other thread of the process.
extern thread_local Thread* current __attribute__((tls_model("initial-exec")));

// Held by what kernels call in the library: its own accesses are not looked at. It is compiled without hooks, but the
// linker may give it a function of the standard library that a file of kernels has brought.
class InLibrary {
 public:
  InLibrary() : thread_(current), before_(thread_->inLibrary) { thread_->inLibrary = true; }
  ~InLibrary() { thread_->inLibrary = before_; }
  InLibrary(const InLibrary&) = delete;
  InLibrary& operator=(const InLibrary&) = delete;

 private:
  Thread* thread_;
  bool before_;
};

}  // namespace quipu::simt
