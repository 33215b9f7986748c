// appendKv: each row's keys and values into the page of its slot and position. A block is one key/value head of a row.
#include "cuda/kernels/cache.h"
#include "cuda/kernels/kernels.h"

namespace quipu::cuda {

namespace {

constexpr uint32_t kAppendThreads = 128;

// Where a row goes; below 0 it goes nowhere, and what is wrong is noted.
__device__ int32_t placeOrFail(const Cache& cache, uint32_t row, uint32_t head, RunState* state, uint32_t op) {
  const int32_t place = cache.placeOf(row);
  if (place == kNoPage && head == 0 && threadIdx.x == 0) fail(state, op, ErrorCode::kInternal, row);
  return place;
}

__global__ void appendKernel(const float* k, const float* v, Cache cache, RunState* state, uint32_t op) {
  waitForPredecessor();
  const uint32_t row = blockIdx.x, head = blockIdx.y, size = cache.size();
  const int32_t place = placeOrFail(cache, row, head, state, op);
  if (place < 0) return;
  const uint32_t page = uint32_t(place) / kPageKeys, key = uint32_t(place) % kPageKeys;
  const size_t first = (size_t(row) * cache.heads() + head) * size;
  for (uint32_t c = threadIdx.x; c < size; c += kAppendThreads) {
    Cache::set(cache.keys, cache.keyAt(page, head, key, c), k[first + c]);
    Cache::set(cache.values, cache.valueAt(page, head, key, c), v[first + c]);
  }
}

// A vector as codes of −127 … 127 with one scale, by a whole block; the steps of docs/numerics.md to the bit. Behind
// the last barrier a thread takes of x what it has written itself, or what it writes next.
__device__ void storeCodes(const float* vector, uint32_t size, float* x, float* words, int8_t* codes, float* scaleTo,
                           const Cache& cache, uint32_t page, uint32_t head, uint32_t key, bool isKey) {
  for (uint32_t c = threadIdx.x; c < size; c += kAppendThreads) x[c] = vector[c];
  if (rotates(size)) rotateShared<kAppendThreads>(x, size);
  float greatest = 0;
  bool nan = false;
  for (uint32_t c = threadIdx.x; c < size; c += kAppendThreads) {
    nan = nan || x[c] != x[c];
    greatest = fmaxf(greatest, fabsf(x[c]));
  }
  greatest = ofBlock<kAppendThreads>(nan ? __uint_as_float(0x7FC00000) : greatest, words, Greater());
  // What is NaN or infinite has no code: it is kept in the scale, and shows in the logits.
  const float scale = greatest / 127.0f;
  const float divisor = scale > 0.0f && scale < __uint_as_float(0x7F800000) ? scale : 1.0f;
  for (uint32_t c = threadIdx.x; c < size; c += kAppendThreads) {
    const float steps = rintf(x[c] / divisor);
    const float code = steps != steps ? 0.0f : fmaxf(fminf(steps, 127.0f), -127.0f);
    codes[isKey ? cache.keyAt(page, head, key, c) : cache.valueAt(page, head, key, c)] = int8_t(int(code));
  }
  if (threadIdx.x == 0) scaleTo[cache.scaleAt(page, head, key)] = scale;
}

__global__ __launch_bounds__(kAppendThreads) void appendCodesKernel(const float* k, const float* v, Cache cache,
                                                                    RunState* state, uint32_t op) {
  DYNAMIC_SHARED(shared);
  using Words = float[kAppendThreads / kWarp];
  SHARED(Words, words);
  waitForPredecessor();
  const uint32_t row = blockIdx.x, head = blockIdx.y, size = cache.size();
  const int32_t place = placeOrFail(cache, row, head, state, op);
  if (place < 0) return;
  const uint32_t page = uint32_t(place) / kPageKeys, key = uint32_t(place) % kPageKeys;
  const size_t first = (size_t(row) * cache.heads() + head) * size;
  auto* x = reinterpret_cast<float*>(shared);
  storeCodes(k + first, size, x, words, cache.keys.as<int8_t>(), cache.keyScales.as<float>(), cache, page, head, key,
             true);
  storeCodes(v + first, size, x, words, cache.values.as<int8_t>(), cache.valueScales.as<float>(), cache, page, head,
             key, false);
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
  const Cache cache = cacheOf(call, {kKeys, kValues, kSlots, kPositions, kPageTable, kKeyScales, kValueScales});
  appendRows(call[kK].as<float>(), call[kV].as<float>(), call[kK].dims[0], cache, call.state, call.op, launches);
}

}  // namespace quipu::cuda
