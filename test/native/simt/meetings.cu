// Barriers and collectives that not all threads come to; what collectives give.
#include "harness.h"
#include "simt/gpu.h"
#include "simt/report.h"

namespace quipu::simt::test {

namespace {

enum Fault { kNone, kSeeded };

template <Fault kFault>
__global__ void exits(uint32_t* out) {
  if (kFault == kSeeded && threadIdx.x == 40) return;
  __syncthreads();  // seeded: a thread that has ended
  out[threadIdx.x] = 1;
}

template <Fault kFault>
__global__ void branches(uint32_t* out) {
  const bool first = kFault == kNone ? blockIdx.x == 0 : threadIdx.x < 32;
  if (first) {
    __syncthreads();
  } else {
    __syncthreads();  // seeded: two barriers
  }
  out[threadIdx.x] = 1;
}

// Half of the warp waits at a barrier, the other half for it in a vote.
__global__ void stuck(uint32_t* out) {
  if (threadIdx.x < 16) {
    __syncthreads();
  } else {
    out[threadIdx.x] = __ballot_sync(0xffffffff, 1);  // seeded: nobody goes on
  }
}

template <Fault kFault>
__global__ void foreignMask(uint32_t* out) {
  const uint32_t mask = threadIdx.x < 16 ? 0xffffu : 0xffff0000u;
  out[threadIdx.x] = __shfl_xor_sync(kFault == kNone ? mask : 0xffffu, threadIdx.x, 1);  // seeded: not in the mask
}

template <Fault kFault>
__global__ void absentSource(uint32_t* out) {
  if (kFault == kNone || threadIdx.x < 16) {
    const uint32_t mask = kFault == kNone ? 0xffffffffu : 0xffffu;
    out[threadIdx.x] = __shfl_xor_sync(mask, threadIdx.x, 16);  // seeded: from a lane that is not there
  }
}

template <Fault kFault>
__global__ void overlapping(uint32_t* out) {
  const uint32_t mask =
      kFault == kNone ? (threadIdx.x < 16 ? 0xffffu : 0xffff0000u) : (threadIdx.x < 16 ? 0x1ffffu : 0xffff0000u);
  out[threadIdx.x] = __ballot_sync(mask, 1);  // seeded: masks that overlap
}

template <Fault kFault>
__global__ void divergent(uint32_t* out) {
  if (kFault == kSeeded && threadIdx.x % 2 == 0) {
    out[threadIdx.x] = __shfl_sync(0xffffffff, threadIdx.x, 3);
  } else {
    out[threadIdx.x] = __shfl_sync(0xffffffff, threadIdx.x, 3);  // seeded: two calls
  }
}

__global__ void shortWarp(float* out) {
  float d[4] = {};
  const uint32_t a[4] = {}, b[2] = {};
  mmaBf16(d, a, b);  // seeded: a product by half a warp
  out[threadIdx.x] = d[0];
}

// What each of the collectives gives, by lane.
__global__ void results(uint32_t* out) {
  const uint32_t lane = threadIdx.x, all = 0xffffffff;
  out[lane] = __shfl_sync(all, lane * 3, 5);
  out[32 + lane] = __shfl_sync(all, lane * 3, 11, 8);
  out[64 + lane] = __shfl_up_sync(all, lane * 3, 3);
  out[96 + lane] = __shfl_up_sync(all, lane * 3, 3, 8);
  out[128 + lane] = __shfl_down_sync(all, lane * 3, 5);
  out[160 + lane] = __shfl_down_sync(all, lane * 3, 5, 16);
  out[192 + lane] = __shfl_xor_sync(all, lane * 3, 9);
  out[224 + lane] = __shfl_xor_sync(all, lane * 3, 9, 8);
  out[256 + lane] = __ballot_sync(all, lane % 3 == 0);
  out[288 + lane] = static_cast<uint32_t>(__any_sync(all, lane == 7) * 4 + __any_sync(all, lane == 32) * 2);
  out[320 + lane] = static_cast<uint32_t>(__all_sync(all, lane < 32) * 4 + __all_sync(all, lane < 31) * 2);
  const auto wide = static_cast<unsigned long long>(lane) << 40;
  out[352 + lane] = static_cast<uint32_t>(__shfl_xor_sync(all, wide, 1) >> 40);
  out[384 + lane] = __float_as_uint(__shfl_down_sync(all, static_cast<float>(lane), 1));
}

void testResults() {
  eachSeed(8, [](uint64_t) {
    Buffer out(416 * sizeof(uint32_t));
    start({1, 32}, results, out.as<uint32_t>());
    const auto got = out.read<uint32_t>(416);
    // By the tables of the programming guide ("Warp Shuffle Functions"): what leaves the group is the lane's own.
    for (uint32_t lane = 0; lane < 32; ++lane) {
      const uint32_t in8 = lane % 8, first8 = lane - in8;
      SIMT_EXPECT(got[lane] == 15);
      SIMT_EXPECT(got[32 + lane] == (first8 + 3) * 3);
      SIMT_EXPECT(got[64 + lane] == (lane < 3 ? lane : lane - 3) * 3);
      SIMT_EXPECT(got[96 + lane] == (in8 < 3 ? lane : lane - 3) * 3);
      SIMT_EXPECT(got[128 + lane] == (lane > 26 ? lane : lane + 5) * 3);
      SIMT_EXPECT(got[160 + lane] == (lane % 16 > 10 ? lane : lane + 5) * 3);
      SIMT_EXPECT(got[192 + lane] == (lane ^ 9) * 3);
      // With a width, a lane of an earlier group can be read, one of a later group cannot.
      SIMT_EXPECT(got[224 + lane] == ((lane ^ 9) / 8 > lane / 8 ? lane : lane ^ 9) * 3);
      SIMT_EXPECT(got[256 + lane] == 0x49249249);
      SIMT_EXPECT(got[288 + lane] == 4);
      SIMT_EXPECT(got[320 + lane] == 4);
      SIMT_EXPECT(got[352 + lane] == (lane ^ 1));
      SIMT_EXPECT(got[384 + lane] == __float_as_uint(static_cast<float>(lane == 31 ? 31 : lane + 1)));
    }
  });
}

Body with(void (*kernel)(uint32_t*), unsigned threads, unsigned blocks = 1) {
  return [=] {
    Buffer out(256 * sizeof(uint32_t));
    start({blocks, threads}, kernel, out.as<uint32_t>());
  };
}

}  // namespace

void testMeetings() {
  const auto both = [](const char* mark, const char* name, const Body& faulty, const Body& right) {
    expectFinding(__FILE__, mark, name, faulty);
    expectClean(mark, right);
  };
  both("a thread that has ended", finding::kBarrier, with(exits<kSeeded>, 64), with(exits<kNone>, 64));
  expectFinding(__FILE__, "two barriers", finding::kBarrier, with(branches<kSeeded>, 64));
  expectFinding(__FILE__, "nobody goes on", finding::kBarrier, with(stuck, 32));
  both("not in the mask", finding::kCollective, with(foreignMask<kSeeded>, 32), with(foreignMask<kNone>, 32));
  both("from a lane that is not there", finding::kCollective, with(absentSource<kSeeded>, 32),
       with(absentSource<kNone>, 32));
  both("masks that overlap", finding::kCollective, with(overlapping<kSeeded>, 32), with(overlapping<kNone>, 32));
  both("two calls", finding::kCollective, with(divergent<kSeeded>, 32), with(divergent<kNone>, 32));
  expectFinding(__FILE__, "a product by half a warp", finding::kCollective, [] {
    Buffer out(32 * sizeof(float));
    start({1, 16}, shortWarp, out.as<float>());
  });
  testResults();
}

}  // namespace quipu::simt::test
