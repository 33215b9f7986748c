// appendKv: each row's keys and values into the page of its slot and position. A block is one key/value head of a row.
#include "cuda/kernels/cache.h"
#include "cuda/kernels/kernels.h"

namespace quipu::cuda {

namespace {

constexpr uint32_t kAppendThreads = 128;

__global__ void appendKernel(const float* k, const float* v, Cache cache, RunState* state, uint32_t op) {
  waitForPredecessor();
  const uint32_t row = blockIdx.x, head = blockIdx.y, size = cache.size();
  if (cache.padding(row)) return;
  const auto position = uint32_t(cache.positions.as<int32_t>()[row]);
  const int32_t page = cache.page(cache.slots.as<int32_t>()[row], position / kPageKeys);
  if (page < 0) {
    if (head == 0 && threadIdx.x == 0) fail(state, op, ErrorCode::kInternal, row);
    return;
  }
  const size_t first = (size_t(row) * cache.heads() + head) * size;
  for (uint32_t c = threadIdx.x; c < size; c += kAppendThreads) {
    Cache::set(cache.keys, cache.keyAt(uint32_t(page), head, position % kPageKeys, c), k[first + c]);
    Cache::set(cache.values, cache.valueAt(uint32_t(page), head, position % kPageKeys, c), v[first + c]);
  }
}

// A vector as codes of −127 … 127 with one scale, by a whole block; the steps of docs/numerics.md to the bit.
__device__ void storeCodes(const float* vector, uint32_t size, float* x, float* words, int8_t* codes, float* scaleTo,
                           const Cache& cache, int32_t page, uint32_t head, uint32_t key, bool isKey) {
  for (uint32_t c = threadIdx.x; c < size; c += kAppendThreads) x[c] = vector[c];
  __syncthreads();
  if (rotates(size)) {
    for (uint32_t apart = 1; apart < size; apart *= 2) {
      for (uint32_t i = threadIdx.x; i < size / 2; i += kAppendThreads) {
        const uint32_t c = i / apart * 2 * apart + i % apart;
        const float a = x[c], b = x[c + apart];
        x[c] = a + b;
        x[c + apart] = a - b;
      }
      __syncthreads();
    }
  }
  float greatest = 0;
  bool nan = false;
  for (uint32_t c = threadIdx.x; c < size; c += kAppendThreads) {
    nan = nan || x[c] != x[c];
    greatest = fmaxf(greatest, fabsf(x[c]));
  }
  greatest = ofWarp(nan ? __uint_as_float(0x7FC00000) : greatest, Greater());
  if (threadIdx.x % kWarp == 0) words[threadIdx.x / kWarp] = greatest;
  __syncthreads();
  greatest = words[0];
  for (uint32_t warp = 1; warp < kAppendThreads / kWarp; ++warp) greatest = Greater()(greatest, words[warp]);
  // What is NaN or infinite has no code: it is kept in the scale, and shows in the logits.
  const float scale = greatest / 127.0f;
  const float divisor = scale > 0.0f && scale < __uint_as_float(0x7F800000) ? scale : 1.0f;
  for (uint32_t c = threadIdx.x; c < size; c += kAppendThreads) {
    const float steps = rintf(x[c] / divisor);
    const float code = steps != steps ? 0.0f : fmaxf(fminf(steps, 127.0f), -127.0f);
    codes[isKey ? cache.keyAt(uint32_t(page), head, key, c) : cache.valueAt(uint32_t(page), head, key, c)] =
        int8_t(int(code));
  }
  if (threadIdx.x == 0) scaleTo[cache.scaleAt(uint32_t(page), head, key)] = scale;
  __syncthreads();
}

__global__ __launch_bounds__(kAppendThreads) void appendCodesKernel(const float* k, const float* v, Cache cache,
                                                                    RunState* state, uint32_t op) {
  DYNAMIC_SHARED(shared);
  using Words = float[kAppendThreads / kWarp];
  SHARED(Words, words);
  waitForPredecessor();
  const uint32_t row = blockIdx.x, head = blockIdx.y, size = cache.size();
  if (cache.padding(row)) return;
  const auto position = uint32_t(cache.positions.as<int32_t>()[row]);
  const int32_t page = cache.page(cache.slots.as<int32_t>()[row], position / kPageKeys);
  if (page < 0) {
    if (head == 0 && threadIdx.x == 0) fail(state, op, ErrorCode::kInternal, row);
    return;
  }
  const size_t first = (size_t(row) * cache.heads() + head) * size;
  auto* x = reinterpret_cast<float*>(shared);
  storeCodes(k + first, size, x, words, cache.keys.as<int8_t>(), cache.keyScales.as<float>(), cache, page, head,
             position % kPageKeys, true);
  storeCodes(v + first, size, x, words, cache.values.as<int8_t>(), cache.valueScales.as<float>(), cache, page, head,
             position % kPageKeys, false);
}

}  // namespace

void appendRows(const float* k, const float* v, uint32_t rows, const Cache& cache, RunState* state, uint32_t op,
                Launches& launches) {
  const dim3 grid(rows, cache.heads());
  if (cache.keys.dtype == DType::kI8) {
    launches(grid, kAppendThreads, cache.size() * sizeof(float), appendCodesKernel, k, v, cache, state, op);
  } else {
    launches(grid, kAppendThreads, 0, appendKernel, k, v, cache, state, op);
  }
}

void appendKv(const OpCall& call, Launches& launches) {
  using namespace append_kv;
  const bool scaled = call.has(kKeyScales);
  const Cache cache = {call[kKeys],
                       call[kValues],
                       scaled ? call[kKeyScales] : View{},
                       scaled ? call[kValueScales] : View{},
                       call[kSlots],
                       call[kPositions],
                       call[kPageTable]};
  appendRows(call[kK].as<float>(), call[kV].as<float>(), call[kK].dims[0], cache, call.state, call.op, launches);
}

}  // namespace quipu::cuda
