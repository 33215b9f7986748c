// Bounds, alignment, and what was never written.
#include "harness.h"
#include "simt/gpu.h"
#include "simt/report.h"

namespace quipu::simt::test {

namespace {

__global__ void addOne(float* x, int n) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i < n) x[i] += 1;  // seeded: row bound
}

__global__ void dynamicBound(float* out, int floats) {
  DYNAMIC_SHARED(raw);
  auto* x = reinterpret_cast<float*>(raw);
  for (int i = static_cast<int>(threadIdx.x); i < floats; i += 32) x[i] = 1;  // seeded: dynamic bound
  out[threadIdx.x] = x[threadIdx.x];
}

using Tile = float[2][32];

__global__ void arrayBound(float* out, int row) {
  SHARED(Tile, tile);
  tile[row][threadIdx.x] = 1;  // seeded: array index
  out[threadIdx.x] = tile[row][threadIdx.x];
}

__global__ void pastArray(float* out, int extra) {
  SHARED(Tile, first);
  SHARED(Tile, second);
  float* end = &first[1][31] + extra;
  if (threadIdx.x == 0) *end = 1;  // seeded: past an array
  second[0][threadIdx.x] = 2;
  out[threadIdx.x] = second[0][threadIdx.x];
}

__global__ void vectorLoad(const float* x, float* out, int offset) {
  const float4 v = *reinterpret_cast<const float4*>(x + offset);  // seeded: misaligned load
  out[threadIdx.x] = v.x;
}

__global__ void sharedUnwritten(float* out, int written) {
  SHARED(Tile, tile);
  if (static_cast<int>(threadIdx.x) < written) tile[0][threadIdx.x] = 1;
  __syncthreads();
  out[threadIdx.x] = tile[0][31 - threadIdx.x];  // seeded: tail not filled
}

__global__ void sum(const float* x, float* out) {
  float s = 0;
  for (int i = 0; i < 4; ++i) s += x[i];  // seeded: unwritten device memory
  out[threadIdx.x] = s;
}

__global__ void shift(unsigned* out, int by) {
  out[threadIdx.x] = 1u << by;  // seeded: shift
}

__constant__ constexpr float kTable[4] = {1, 2, 4, 8};

__global__ void gather(float* out, const float* table) { out[threadIdx.x] = table[threadIdx.x % 4]; }

__global__ void hostMemory(float* out, const float* host) {
  out[threadIdx.x] = *host;  // seeded: the host's memory
}

__global__ void stale(const float* x, float* out) {
  out[threadIdx.x] = x[threadIdx.x];  // seeded: freed memory
}

using Large = std::byte[40 * 1024];
using Larger = std::byte[9 * 1024];

__global__ void tooMuch(std::byte* out) {
  SHARED(Large, a);
  SHARED(Larger, b);  // seeded: static shared memory
  out[threadIdx.x] = a[0] = b[0] = std::byte{1};
}

__global__ void localOf(float** where, float* out) {
  float mine = static_cast<float>(threadIdx.x);
  if (threadIdx.x == 0) *where = &mine;
  __syncthreads();
  out[threadIdx.x] = **where;  // seeded: another thread's variable
}

__device__ __attribute__((noinline)) int deep(int n, int* out) {
  volatile int frame[256];
  frame[n % 256] = n;
  if (n > 0) out[threadIdx.x] += deep(n - 1, out);
  return frame[n % 256];
}

__global__ void recursive(int* out, int depth) { out[threadIdx.x] = deep(depth, out); }

}  // namespace

void testMemory() {
  const auto simple = [](int n) {
    return [n] {
      Buffer x(100 * sizeof(float));
      start({4, 32}, addOne, x.as<float>(), n);
    };
  };
  expectFinding(__FILE__, "row bound", finding::kOutOfBounds, simple(101));
  expectClean("row bound", simple(100));

  const auto dynamic = [](int floats) {
    return [floats] {
      Buffer out(128);
      start({1, 32, 64 * sizeof(float)}, dynamicBound, out.as<float>(), floats);
    };
  };
  expectFinding(__FILE__, "dynamic bound", finding::kOutOfBounds, dynamic(65));
  expectClean("dynamic bound", dynamic(64));

  const auto withFloats = [](auto kernel, int number) {
    return [=] {
      Buffer out(32 * sizeof(float));
      start({1, 32}, kernel, out.as<float>(), number);
    };
  };
  expectFinding(__FILE__, "array index", finding::kOutOfBounds, withFloats(arrayBound, 2));
  expectClean("array index", withFloats(arrayBound, 1));
  expectFinding(__FILE__, "past an array", finding::kOutOfBounds, withFloats(pastArray, 1));
  expectClean("past an array", withFloats(pastArray, 0));
  expectFinding(__FILE__, "tail not filled", finding::kUninitialised, withFloats(sharedUnwritten, 31));
  expectClean("tail not filled", withFloats(sharedUnwritten, 32));

  const auto load = [](auto kernel, int offset) {
    return [=] {
      Buffer x(8 * sizeof(float)), out(32 * sizeof(float));
      start({1, 32}, kernel, x.as<float>(), out.as<float>(), offset);
    };
  };
  expectFinding(__FILE__, "misaligned load", finding::kMisaligned, load(vectorLoad, 1));
  expectClean("misaligned load", load(vectorLoad, 4));

  const auto sumOf = [](int fill) {
    return [fill] {
      Buffer x(4 * sizeof(float), fill), out(32 * sizeof(float));
      start({1, 32}, sum, x.as<float>(), out.as<float>());
    };
  };
  expectFinding(__FILE__, "unwritten device memory", finding::kUninitialised, sumOf(-1));
  expectClean("unwritten device memory", sumOf(0));

  const auto shiftBy = [](int by) {
    return [by] {
      Buffer out(32 * sizeof(unsigned));
      start({1, 32}, shift, out.as<unsigned>(), by);
    };
  };
  expectFinding(__FILE__, "shift", finding::kShift, shiftBy(32));
  expectClean("shift", shiftBy(31));

  expectClean("a table of constants", [] {
    Buffer out(32 * sizeof(float));
    start({1, 32}, gather, out.as<float>(), static_cast<const float*>(kTable));
  });
  expectFinding(__FILE__, "the host's memory", finding::kOutOfBounds, [] {
    Buffer out(32 * sizeof(float));
    const std::vector<float> host(1);
    start({1, 32}, hostMemory, out.as<float>(), host.data());
    cudaDeviceSynchronize();
  });
  expectFinding(__FILE__, "freed memory", finding::kOutOfBounds, [] {
    Buffer out(32 * sizeof(float));
    float* gone = Buffer(32 * sizeof(float)).as<float>();
    start({1, 32}, stale, gone, out.as<float>());
  });
  expectFinding(__FILE__, "static shared memory", finding::kResources, [] {
    Buffer out(32);
    start({1, 32}, tooMuch, out.as<std::byte>());
  });
  expectFinding(__FILE__, "another thread's variable", finding::kOutOfBounds, [] {
    Buffer where(sizeof(float*)), out(32 * sizeof(float));
    start({1, 32}, localOf, where.as<float*>(), out.as<float>());
  });
  printReports(false);
  for (const int depth : {10, 64}) {
    clearReport();
    {
      Buffer out(32 * sizeof(int));
      start({1, 32}, recursive, out.as<int>(), depth);
    }
    SIMT_EXPECT((lastReport().find(finding::kStack) != std::string::npos) == (depth == 64));
    cudaDeviceReset();
  }
  printReports(true);
}

}  // namespace quipu::simt::test
