// normQkv: a tile is eight features of a head and the eight that they are turned with, so that a product's sums are
// turned, and go to the cache, where they come up. Values of another format than queries and keys (q4 has them of q6)
// are a launch of their own. Of an i8 cache, whose scales are a whole vector's, and of heads whose half is no multiple
// of 8, keys and values go through the workspace.
#include "cuda/kernels/cache.h"
#include "cuda/kernels/kernels.h"
#include "cuda/kernels/product_kernel.h"

namespace quipu::cuda {

namespace {

struct QkvOp {
  Matrix query, key, value;
  uint32_t half;        // of a head
  const float* angles;  // [T, half, 2]
  float* out;           // queries
  Cache cache;
  float *keyRows, *valueRows;  // [T, G · d] in place of the cache; null: the cache
  RunState* state;
  uint32_t op;
  uint32_t first, count;  // tiles of the launch, of those of all three

  __host__ __device__ uint32_t headTiles() const { return half / 8; }
  uint32_t tiles() const { return count; }
  bool aligned() const { return isAligned(query) && isAligned(key) && isAligned(value); }

  __device__ WeightRows source(uint32_t launched, uint32_t octet) const {
    const uint32_t tile = first + launched, head = tile / headTiles();
    const uint32_t row = head * 2 * half + tile % headTiles() * 8 + octet * half;
    if (row < query.rows) return {query, row};
    if (row < query.rows + key.rows) return {key, row - query.rows};
    return {value, row - query.rows - key.rows};
  }

  // Where a block's tokens go in the cache, looked up once.
  static __device__ int32_t& placeOf(uint32_t token) {
    using Places = int32_t[64];
    SHARED(Places, places);
    return places[token % 64];
  }
  __device__ void begin(uint32_t firstToken, uint32_t tokens) const {
    const uint32_t token = firstToken + threadIdx.x;
    if (keyRows == nullptr && threadIdx.x < 64 && token < tokens) placeOf(token) = cache.placeOf(token);
  }
  __device__ void store(uint32_t launched, uint32_t at, uint32_t token, float low, float high) const {
    const uint32_t tile = first + launched;
    const uint32_t pair = tile % headTiles() * 8 + at, row = tile / headTiles() * 2 * half + pair;
    const bool isValue = row >= query.rows + key.rows;
    if (!isValue) {
      const float* turn = angles + (size_t(token) * half + pair) * 2;
      const float cosine = turn[0], sine = turn[1], a = low, b = high;
      low = fmaf(-b, sine, a * cosine);
      high = fmaf(a, sine, b * cosine);
    }
    if (row < query.rows) {
      float* to = out + size_t(token) * query.rows + row;
      to[0] = low;
      to[half] = high;
      return;
    }
    const uint32_t own = row - query.rows - (isValue ? key.rows : 0);
    if (keyRows != nullptr) {
      float* to = (isValue ? valueRows : keyRows) + size_t(token) * key.rows + own;
      to[0] = low;
      to[half] = high;
      return;
    }
    const int32_t place64 = placeOf(token);
    if (place64 < 0) {
      if (place64 == kNoPage && own == 0 && !isValue) fail(state, op, ErrorCode::kInternal, token);
      return;
    }
    const uint32_t page = uint32_t(place64) / kPageKeys, place = uint32_t(place64) % kPageKeys, head = own / (2 * half);
    if (isValue) {
      Cache::set(cache.values, cache.valueAt(page, head, place, pair), low);
      Cache::set(cache.values, cache.valueAt(page, head, place, pair + half), high);
    } else {
      Cache::set(cache.keys, cache.keyAt(page, head, place, pair), low);
      Cache::set(cache.keys, cache.keyAt(page, head, place, pair + half), high);
    }
  }
};

size_t aligned(size_t bytes) { return bytes > kTooMany - 255 ? kTooMany : (bytes + 255) / 256 * 256; }

// rope of rows [T, width], in place.
void turn(float* rows, uint32_t tokens, uint32_t width, const View& angles, Launches& launches) {
  View views[3] = {
      {rows, DType::kF32, {tokens, width, 1, 1}, 0}, angles, {rows, DType::kF32, {tokens, width, 1, 1}, 0}};
  rope({views, 3, nullptr, 0, nullptr, nullptr}, launches);
}

}  // namespace

size_t normQkvWorkspace(const OpCall& call) {
  using namespace norm_qkv;
  const uint32_t tokens = call[kX].dims[0];
  const size_t rows = aligned(times(size_t(tokens) * call[kKey].dims[0], sizeof(float)));
  return plus(aligned(productWorkspace(call[kX].dims[1], tokens)), times(rows, 2));
}

void normQkv(const OpCall& call, Launches& launches) {
  using namespace norm_qkv;
  const View &x = call[kX], &angles = call[kAngles];
  const uint32_t tokens = x.dims[0], half = angles.dims[1], width = call[kKey].dims[0];
  const Activations from = {x.as<float>(), call[kNorm].data, call[kNorm].dtype, call.floatAttribute(kEpsilon)};
  const bool scaled = call.has(kKeyScales);
  const Cache cache = cacheOf(call, {kKeys, kValues, kSlots, kPositions, kPageTable, kKeyScales, kValueScales});
  auto* keyRows = reinterpret_cast<float*>(call.workspace + aligned(productWorkspace(x.dims[1], tokens)));
  float* valueRows = keyRows + aligned(size_t(tokens) * width * sizeof(float)) / sizeof(float);
  const Matrix query = matrixOf(call[kQuery]), key = matrixOf(call[kKey]), value = matrixOf(call[kValue]);
  if (half % 8 == 0 && query.dtype == key.dtype) {
    const uint32_t turned = (query.rows + key.rows) / 16, all = turned + value.rows / 16;
    const bool together = key.dtype == value.dtype;
    QkvOp op = {query,
                key,
                value,
                half,
                angles.as<float>(),
                call[kOut].as<float>(),
                cache,
                scaled ? keyRows : nullptr,
                scaled ? valueRows : nullptr,
                call.state,
                call.op,
                0,
                together ? all : turned};
    product(op, query, from, tokens, call.workspace, launches);
    if (!together) {
      op.first = turned;
      op.count = all - turned;
      product(op, value, from, tokens, call.workspace, launches);
    }
    if (!scaled) return;
  } else {
    storeProduct({query, nullptr, call[kOut].as<float>()}, from, tokens, call.workspace, launches);
    storeProduct({key, nullptr, keyRows}, from, tokens, call.workspace, launches);
    storeProduct({value, nullptr, valueRows}, from, tokens, call.workspace, launches);
    turn(call[kOut].as<float>(), tokens, query.rows, angles, launches);
    turn(keyRows, tokens, width, angles, launches);
  }
  appendRows(keyRows, valueRows, tokens, cache, call.state, call.op, launches);
}

}  // namespace quipu::cuda
