// Races on shared memory, and async copies that are not waited for.
#include "harness.h"
#include "simt/gpu.h"
#include "simt/report.h"

namespace quipu::simt::test {

namespace {

enum Fault { kNone, kSeeded };

using Words = uint32_t[256];
using Bytes = uint8_t[256];
using Ring = uint32_t[2][64];
using Chunk = __attribute__((aligned(16))) uint32_t[4][128];

__global__ void mirror(uint32_t* out) {
  SHARED(Words, words);
  words[threadIdx.x] = threadIdx.x;
  __syncthreads();
  out[threadIdx.x] = words[blockDim.x - 1 - threadIdx.x];
}

template <Fault kFault>
__global__ void missingBarrier(uint32_t* out) {
  SHARED(Words, words);
  if (threadIdx.x < 32) {
    for (uint32_t i = threadIdx.x; i < 64; i += 32) words[i] = i;
  }
  __syncthreads();
  const uint32_t before = words[63 - threadIdx.x];
  if (kFault == kNone) __syncthreads();
  words[threadIdx.x] = before + 1;  // seeded: missing barrier
  __syncthreads();
  out[threadIdx.x] = words[63 - threadIdx.x];
}

template <Fault kFault>
__global__ void missingSyncwarp(uint32_t* out) {
  SHARED(Words, words);
  words[threadIdx.x ^ 1] = 0;
  __syncwarp();
  words[threadIdx.x] = threadIdx.x;
  if (kFault == kNone) __syncwarp();
  out[threadIdx.x] = words[threadIdx.x ^ 1];  // seeded: missing syncwarp
}

template <Fault kFault>
__global__ void syncwarpForBarrier(uint32_t* out) {
  SHARED(Words, words);
  words[threadIdx.x ^ 32] = 0;
  __syncthreads();
  words[threadIdx.x] = threadIdx.x;
  if (kFault == kNone) {
    __syncthreads();
  } else {
    __syncwarp();
  }
  out[threadIdx.x] = words[threadIdx.x ^ 32];  // seeded: syncwarp for a barrier
}

// Pairs of lanes meet by masks of their own.
template <Fault kFault>
__global__ void pairs(uint32_t* out) {
  SHARED(Words, words);
  words[threadIdx.x] = 0;
  __syncwarp();
  const uint32_t lane = threadIdx.x % 32, step = kFault == kNone ? 1 : 2;
  words[threadIdx.x] = threadIdx.x;
  __syncwarp(0x3u << (lane & ~1u));
  out[threadIdx.x] = words[threadIdx.x ^ step];  // seeded: a pair's mask
}

// A shuffle is no barrier of memory.
template <Fault kFault>
__global__ void shuffleForSyncwarp(uint32_t* out) {
  SHARED(Words, words);
  words[threadIdx.x] = 0;
  __syncthreads();
  words[threadIdx.x] = threadIdx.x;
  const uint32_t sum = __shfl_xor_sync(0xffffffff, threadIdx.x, 1);
  if (kFault == kNone) __syncwarp();
  out[threadIdx.x] = words[threadIdx.x ^ 1] + sum;  // seeded: a shuffle for syncwarp
}

// Neighbouring bytes of one word are no race.
__global__ void bytes(uint8_t* out) {
  SHARED(Bytes, all);
  all[threadIdx.x] = static_cast<uint8_t>(threadIdx.x);
  all[threadIdx.x] += 1;
  __syncthreads();
  out[threadIdx.x] = all[255 - threadIdx.x];
}

__global__ void sameByte(uint8_t* out) {
  SHARED(Bytes, all);
  all[threadIdx.x / 2] = static_cast<uint8_t>(threadIdx.x);  // seeded: two writers of a byte
  __syncthreads();
  out[threadIdx.x] = all[threadIdx.x / 2];
}

// A ring of two stages: each is refilled when all have read it.
template <Fault kFault>
__global__ void ring(const uint32_t* in, uint32_t* out) {
  SHARED(Ring, stages);
  uint32_t sum = 0;
  for (uint32_t i = 0; i < 6; ++i) {
    stages[i % 2][threadIdx.x] = in[i * 64 + threadIdx.x];  // seeded: refilled too early
    __syncthreads();
    sum += stages[i % 2][63 - threadIdx.x];
    if (kFault == kSeeded && i == 3) sum += stages[(i + 1) % 2][63 - threadIdx.x];
  }
  out[threadIdx.x] = sum;
}

template <Fault kFault>
__global__ void copied(const uint32_t* in, uint32_t* out) {
  SHARED(Chunk, stages);
  for (uint32_t i = 0; i < 3; ++i) {
    copyAsync16(&stages[i][threadIdx.x * 4], in + i * 128 + threadIdx.x * 4, true);
    copyAsyncCommit();
  }
  uint32_t sum = 0;
  copyAsyncWait<kFault == kNone ? 1 : 2>();
  __syncthreads();
  for (uint32_t i = 0; i < 2; ++i) sum += stages[i][127 - threadIdx.x];  // seeded: a group not waited for
  copyAsyncWait<0>();
  __syncthreads();
  out[threadIdx.x] = sum + stages[2][127 - threadIdx.x];
}

template <Fault kFault>
__global__ void endsWithCopies(const uint32_t* in, uint32_t* out) {
  SHARED(Chunk, stage);
  copyAsync16(&stage[0][threadIdx.x * 4], in + threadIdx.x * 4, true);  // seeded: on its way at the end
  copyAsyncCommit();
  if (kFault == kNone) copyAsyncWait<0>();
  copyAsyncCommit();  // an empty group needs no wait
  out[threadIdx.x] = threadIdx.x;
}

template <Fault kFault>
__global__ void copiedWithoutBarrier(const uint32_t* in, uint32_t* out) {
  SHARED(Chunk, stage);
  copyAsync16(&stage[0][threadIdx.x * 4], in + threadIdx.x * 4, threadIdx.x < 31);
  copyAsyncCommit();
  copyAsyncWait<0>();
  if (kFault == kNone) __syncthreads();
  out[threadIdx.x] = kFault == kNone ? stage[0][127 - threadIdx.x] : stage[0][threadIdx.x * 4];
  if (kFault == kSeeded) {
    __syncwarp();
    copyAsync16(&stage[0][threadIdx.x * 4], in, true);
    __syncthreads();
    out[threadIdx.x] = stage[0][127 - threadIdx.x];  // seeded: a copy in flight behind a barrier
  }
}

__global__ void copyBounds(const uint32_t* in, uint32_t* out, uint32_t floats) {
  SHARED(Chunk, stage);
  const uint32_t at = threadIdx.x * 4;
  copyAsync16(&stage[0][at], in + at, at < floats);  // seeded: copied past the end
  copyAsyncCommit();
  copyAsyncWait<0>();
  __syncthreads();
  out[threadIdx.x] = stage[0][threadIdx.x];
}

template <typename T>
Body with(void (*kernel)(T*), unsigned threads) {
  return [=] {
    Buffer out(256 * sizeof(T));
    start({1, threads}, kernel, out.as<T>());
  };
}

Body with(void (*kernel)(const uint32_t*, uint32_t*), unsigned threads) {
  return [=] {
    Buffer in(384 * sizeof(uint32_t)), out(128 * sizeof(uint32_t));
    start({1, threads}, kernel, in.as<const uint32_t>(), out.as<uint32_t>());
  };
}

}  // namespace

void testSharing() {
  const auto both = [](const char* mark, const char* name, const Body& faulty, const Body& right) {
    expectFinding(__FILE__, mark, name, faulty);
    expectClean(mark, right);
  };
  expectClean("mirror", with<uint32_t>(mirror, 64));
  both("missing barrier", finding::kRace, with<uint32_t>(missingBarrier<kSeeded>, 64),
       with<uint32_t>(missingBarrier<kNone>, 64));
  both("missing syncwarp", finding::kRace, with<uint32_t>(missingSyncwarp<kSeeded>, 32),
       with<uint32_t>(missingSyncwarp<kNone>, 32));
  both("syncwarp for a barrier", finding::kRace, with<uint32_t>(syncwarpForBarrier<kSeeded>, 64),
       with<uint32_t>(syncwarpForBarrier<kNone>, 64));
  both("a pair's mask", finding::kRace, with<uint32_t>(pairs<kSeeded>, 64), with<uint32_t>(pairs<kNone>, 64));
  both("a shuffle for syncwarp", finding::kRace, with<uint32_t>(shuffleForSyncwarp<kSeeded>, 32),
       with<uint32_t>(shuffleForSyncwarp<kNone>, 32));
  expectFinding(__FILE__, "two writers of a byte", finding::kRace, with<uint8_t>(sameByte, 64));
  expectClean("bytes", with<uint8_t>(bytes, 256));
  both("refilled too early", finding::kRace, with(ring<kSeeded>, 64), with(ring<kNone>, 64));
  both("a group not waited for", finding::kInFlight, with(copied<kSeeded>, 32), with(copied<kNone>, 32));
  both("a copy in flight behind a barrier", finding::kInFlight, with(copiedWithoutBarrier<kSeeded>, 32),
       with(copiedWithoutBarrier<kNone>, 32));
  both("on its way at the end", finding::kInFlight, with(endsWithCopies<kSeeded>, 32), with(endsWithCopies<kNone>, 32));
  const auto bounds = [](uint32_t floats) {
    return [floats] {
      Buffer in(124 * sizeof(uint32_t)), out(32 * sizeof(uint32_t));
      start({1, 32}, copyBounds, in.as<const uint32_t>(), out.as<uint32_t>(), floats);
    };
  };
  both("copied past the end", finding::kOutOfBounds, bounds(128), bounds(124));
}

}  // namespace quipu::simt::test
