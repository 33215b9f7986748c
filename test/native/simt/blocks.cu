// Blocks of one grid that hand each other memory: by a fence and an atomic, or not.
#include "harness.h"
#include "simt/gpu.h"
#include "simt/report.h"

namespace quipu::simt::test {

namespace {

enum Fault { kNone, kNoFence, kNoBarrier, kFenceOfOthers };

using Flag = bool[1];

// Partial sums; the block that takes the last ticket adds them up and leaves the counter as it was.
template <Fault kFault>
__global__ void ticket(float* partial, float* out, unsigned* tickets) {
  SHARED(Flag, last);
  partial[blockIdx.x * blockDim.x + threadIdx.x] = 1;
  if (kFault == kFenceOfOthers) __threadfence();
  if (kFault != kNoBarrier) __syncthreads();
  if (threadIdx.x == 0) {
    if (kFault != kNoFence && kFault != kFenceOfOthers) __threadfence();
    last[0] = atomicAdd(tickets, 1u) == gridDim.x - 1;
  }
  __syncthreads();
  if (!last[0]) return;
  float sum = 0;
  for (unsigned block = 0; block < gridDim.x; ++block) {
    sum += partial[block * blockDim.x + threadIdx.x];  // seeded: another block's sum
  }
  out[threadIdx.x] = sum;
  if (threadIdx.x == 0) *tickets = 0;
}

__global__ void neighbours(float* x) {
  if (threadIdx.x == 0) x[blockIdx.x] = 1;
  if (blockIdx.x > 0 && threadIdx.x == 0) x[blockIdx.x - 1] += 1;  // seeded: the neighbour's element
}

__global__ void plainCounter(unsigned* counter) {
  if (threadIdx.x == 0) *counter += 1;  // seeded: no atomic
}

__global__ void counter(unsigned* counter, unsigned long long* least, float* sum) {
  atomicAdd(counter, 1u);
  atomicMin(least, static_cast<unsigned long long>(blockIdx.x) << 32 | threadIdx.x);
  atomicAdd(sum, 0.5f);
}

// Readers of what nobody writes, in all blocks, and each writes its own.
__global__ void copy(const float* from, float* to) {
  to[blockIdx.x * 32 + threadIdx.x] = from[threadIdx.x] + from[31 - threadIdx.x];
}

__global__ void overwritten(float* x) {
  const float other = x[(blockIdx.x * 32 + threadIdx.x + 32) % (gridDim.x * 32)];
  x[blockIdx.x * 32 + threadIdx.x] = other + 1;  // seeded: written where another block reads
}

// A block that waits for another's flag, as of a lock; volatile is no race.
__global__ void flag(volatile unsigned* ready, float* value, float* out) {
  if (blockIdx.x == 0) {
    if (threadIdx.x == 0) {
      *value = 42;
      __threadfence();
      *ready = 1;
    }
  } else if (threadIdx.x == 0 && *ready == 1) {
    *out = *value;
  }
}

}  // namespace

void testBlocks() {
  const auto tickets = [](auto kernel) {
    return [=] {
      Buffer partial(5 * 64 * sizeof(float), -1), out(64 * sizeof(float)), counter(sizeof(unsigned));
      start({5, 64}, kernel, partial.as<float>(), out.as<float>(), counter.as<unsigned>());
      start({5, 64}, kernel, partial.as<float>(), out.as<float>(), counter.as<unsigned>());
      if (cudaDeviceSynchronize() != cudaSuccess) return;
      for (const float sum : out.read<float>(64)) SIMT_EXPECT(sum == 5);
      SIMT_EXPECT(counter.read<unsigned>(1)[0] == 0);
    };
  };
  expectClean("tickets", tickets(ticket<kNone>));
  expectFinding(__FILE__, "another block's sum", finding::kCrossBlock, tickets(ticket<kNoFence>));
  expectFinding(__FILE__, "another block's sum", finding::kCrossBlock, tickets(ticket<kNoBarrier>));
  expectFinding(__FILE__, "another block's sum", finding::kCrossBlock, tickets(ticket<kFenceOfOthers>));

  const auto with = [](auto kernel, unsigned blocks, size_t bytes) {
    return [=] {
      Buffer x(bytes);
      start({blocks, 32}, kernel, x.as<float>());
    };
  };
  expectFinding(__FILE__, "the neighbour's element", finding::kCrossBlock, with(neighbours, 4, 16));
  expectFinding(__FILE__, "written where another block reads", finding::kCrossBlock, with(overwritten, 4, 512));
  expectFinding(__FILE__, "no atomic", finding::kCrossBlock, [] {
    Buffer x(4);
    start({8, 32}, plainCounter, x.as<unsigned>());
  });
  expectClean("counters", [] {
    Buffer count(4), least(8, 0xff), sum(4);
    start({8, 32}, counter, count.as<unsigned>(), least.as<unsigned long long>(), sum.as<float>());
    SIMT_EXPECT(count.read<unsigned>(1)[0] == 256);
    SIMT_EXPECT(least.read<unsigned long long>(1)[0] == 0);
    SIMT_EXPECT(sum.read<float>(1)[0] == 128);
  });
  expectClean("readers", [] {
    Buffer from(128), to(8 * 128);
    start({8, 32}, copy, from.as<const float>(), to.as<float>());
  });
  expectClean("flag", [] {
    Buffer ready(4), value(4), out(4);
    start({2, 32}, flag, ready.as<volatile unsigned>(), value.as<float>(), out.as<float>());
    const float got = out.read<float>(1)[0];
    SIMT_EXPECT(got == 0 || got == 42);
  });
}

}  // namespace quipu::simt::test
