// attention: causal and grouped. Of an f16 cache with heads of 64 or 128 features on tensor cores (attention_tile.h):
// few rows have a warp for each chunk of a row and key/value head, whose query heads share what is read; of a prompt a
// warp has sixteen rows and all of their chunks. Other caches have a block for each chunk of a row and query head.
//
// A decode step reads the cache once, 4 G d bytes a key of f16: bound by memory.
#include "cuda/kernels/attention_tile.h"
#include "cuda/kernels/kernels.h"

namespace quipu::cuda {

namespace {

constexpr uint32_t kAttentionWarps = 4;
// Rows up to which chunks are shared out: more are enough warps by themselves.
constexpr uint32_t kFewRows = 16;
// Of what the chunks of plain attention leave.
constexpr size_t kMostPartialBytes = size_t(64) << 20;

struct AttentionCall {
  const float* q;  // [T, H, d]
  float* out;
  Cache cache;
  uint32_t tokens, group;  // query heads to one of G
  float scale;
  RunState* state;
  uint32_t op;

  __host__ __device__ uint32_t heads() const { return cache.heads() * group; }
  __device__ size_t rowAt(uint32_t token, uint32_t head) const {
    return (size_t(token) * heads() + head) * cache.size();
  }
};

// A page of the call's cache, or none with what is wrong noted.
__device__ __forceinline__ int32_t pageOf(const AttentionCall& call, uint32_t token, int32_t slot, uint32_t block) {
  const int32_t page = call.cache.page(slot, block);
  if (page < 0) fail(call.state, call.op, ErrorCode::kInternal, token);
  return page;
}

// The sums of a page's rows in shared memory, in the place of the pages when they are done with. A warp stores eight
// rows and four features 16 apart of each at a time (forEachSum): with a row an odd number of words long, and 8 words
// more after every 32 features, they lie in 32 banks. What is read, neighbouring features of a row, does so anyway.
template <int kSize>
struct ChunkSums {
  static constexpr uint32_t kRow = kSize + kSize / 32 * 8 + 1;
  static_assert(kChunkPages * 16 * kRow * sizeof(float) <= kChunkPages * StagedPage<kSize>::kBytes);

  float* sums;

  __device__ __forceinline__ float& at(uint32_t page, uint32_t row, uint32_t c) const {
    return sums[(page * 16 + row) * kRow + c + c / 32 * 8];
  }
};

// A block: a chunk of a token and key/value head, sixteen query heads of it; a warp has a page.
template <int kSize>
__global__ __launch_bounds__(kChunkPages* kWarp) void chunkKernel(AttentionCall call, Partials partials,
                                                                  uint32_t tilesOfGroup) {
  DYNAMIC_SHARED(shared);
  using Masses = Mass[kChunkPages][16];
  SHARED(Masses, masses);
  waitForPredecessor();
  letSuccessorStart();
  const uint32_t lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp, chunk = blockIdx.x;
  const uint32_t keyHead = blockIdx.y / tilesOfGroup, firstHead = blockIdx.y % tilesOfGroup * 16, token = blockIdx.z;
  const Cache& cache = call.cache;
  const int32_t slot = cache.slots.as<int32_t>()[token], position = cache.positions.as<int32_t>()[token];
  const uint32_t heads = call.group - firstHead < 16 ? call.group - firstHead : 16;
  const auto queryOf = [&](uint32_t row) { return call.rowAt(token, keyHead * call.group + firstHead + row); };
  if (slot < 0 || position < 0) {
    for (uint32_t i = threadIdx.x; chunk == 0 && i < heads * kSize; i += blockDim.x) {
      call.out[queryOf(i / kSize) + i % kSize] = 0;
    }
    return;
  }
  if (int64_t(chunk) * kChunkKeys > position) return;
  const uint32_t firstBlock = chunk * kChunkPages, blocks = uint32_t(position) / kPageKeys + 1 - firstBlock;
  const uint32_t pages = blocks < kChunkPages ? blocks : kChunkPages;
  const ChunkSums<kSize> sums = {reinterpret_cast<float*>(shared)};
  TileSums<kSize> tile;
  if (warp < pages) {
    const int32_t id = pageOf(call, token, slot, firstBlock + warp);
    const size_t at = (size_t(id < 0 ? 0 : id) * cache.heads() + keyHead) * kSize * kPageKeys;
    const StagedPage<kSize> page(shared + warp * StagedPage<kSize>::kBytes, cache.keys.as<uint16_t>() + at,
                                 cache.values.as<uint16_t>() + at, lane);
    const uint32_t low = lane / 4, high = low + 8;
    TileQueries<kSize> queries;
    queries.load(low < heads ? call.q + queryOf(low) : nullptr, high < heads ? call.q + queryOf(high) : nullptr, lane);
    const int32_t left = position + 1 - int32_t((firstBlock + warp) * kPageKeys);
    const int32_t visible = left < int32_t(kPageKeys) ? left : int32_t(kPageKeys);
    tile = sumsOfPage<kSize, kSize>(queries, page, 0, visible, visible, visible, call.scale, lane);
  }
  __syncthreads();
  if (warp < pages) {
    forEachSum(tile, lane, [&](uint32_t c, float low, float high) {
      sums.at(warp, lane / 4, c) = low;
      sums.at(warp, lane / 4 + 8, c) = high;
    });
    if (lane % 4 == 0) {
      masses[warp][lane / 4] = tile.low;
      masses[warp][lane / 4 + 8] = tile.high;
    }
  }
  __syncthreads();
  const bool whole = position < int32_t(kChunkKeys);  // the row has no other chunk
  for (uint32_t i = threadIdx.x; i < heads * kSize; i += kChunkPages * kWarp) {
    const uint32_t row = i / kSize, c = i % kSize;
    Mass mass;
    float sum = 0;
    for (uint32_t page = 0; page < pages; ++page) {
      const Factors by = join(mass, masses[page][row]);
      sum = fmaf(sum, by.before, sums.at(page, row, c) * by.next);
    }
    if (whole) {
      call.out[queryOf(row) + c] = sum / mass.sum;
      continue;
    }
    const size_t at = partials.at(token, keyHead * call.group + firstHead + row, chunk);
    partials.sums[at * kSize + c] = sum;
    if (c == 0) partials.masses[at] = mass;
  }
}

// A warp: sixteen rows (token, query head of a key/value head), all chunks of each. Rows of one slot follow each other.
// Of 64 dims of the values: with more, what a page, a chunk and all have so far is more than fits in registers.
template <int kSize>
__global__ __launch_bounds__(kAttentionWarps* kWarp) void promptKernel(AttentionCall call) {
  constexpr int kDims = 64;
  using Rooms = typename StoredQueries<kSize>::Room[kAttentionWarps];
  SHARED(Rooms, rooms);
  waitForPredecessor();
  letSuccessorStart();
  const uint32_t part = blockIdx.z;
  const uint32_t lane = threadIdx.x % kWarp, tile = blockIdx.x * kAttentionWarps + threadIdx.x / kWarp;
  const uint32_t keyHead = blockIdx.y, rows = call.tokens * call.group;
  if (tile * 16 >= rows) return;
  const Cache& cache = call.cache;
  const int32_t *slots = cache.slots.as<int32_t>(), *positions = cache.positions.as<int32_t>();
  const uint32_t low = tile * 16 + lane / 4, high = low + 8;
  const uint32_t lowToken = low / call.group, highToken = high / call.group;
  const bool lowThere = low < rows && !cache.padding(lowToken), highThere = high < rows && !cache.padding(highToken);
  const auto rowOf = [&](uint32_t row) {
    return call.rowAt(row / call.group, keyHead * call.group + row % call.group);
  };
  TileQueries<kSize> loaded;
  loaded.load(lowThere ? call.q + rowOf(low) : nullptr, highThere ? call.q + rowOf(high) : nullptr, lane);
  const StoredQueries<kSize> queries(rooms[threadIdx.x / kWarp], loaded, lane);
  TileSums<kDims> total;
  const uint32_t firstToken = tile * 16 / call.group;
  const uint32_t lastToken = (tile * 16 + 15 < rows ? tile * 16 + 15 : rows - 1) / call.group;
  // Slot after slot of those that the tile has rows of.
  for (uint32_t first = firstToken; first <= lastToken;) {
    const int32_t slot = slots[first];
    uint32_t next = first;
    int32_t greatest = -1;
    for (; next <= lastToken && slots[next] == slot; ++next) {
      greatest = positions[next] > greatest ? positions[next] : greatest;
    }
    const bool lowIn = lowThere && lowToken >= first && lowToken < next;
    const bool highIn = highThere && highToken >= first && highToken < next;
    const bool mixed = next - first != lastToken - firstToken + 1;
    if (slot >= 0) {
      for (int32_t from = 0; from <= greatest; from += int32_t(kChunkKeys)) {
        TileSums<kDims> chunk;
        for (uint32_t p = 0; p < kChunkPages; ++p) {
          const int32_t key = from + int32_t(p * kPageKeys), left = greatest + 1 - key;
          if (left <= 0) break;
          const int32_t page = pageOf(call, first, slot, uint32_t(key) / kPageKeys);
          if (page < 0) return;
          const auto seen = [&](bool in, uint32_t token) {
            const int32_t of = in ? positions[token] + 1 - key : 0;
            return of < int32_t(kPageKeys) ? of : int32_t(kPageKeys);
          };
          const size_t at = (size_t(page) * cache.heads() + keyHead) * kSize * kPageKeys;
          const PageInMemory<kSize> inMemory = {cache.keys.as<uint16_t>() + at, cache.values.as<uint16_t>() + at};
          const int32_t visible = left < int32_t(kPageKeys) ? left : int32_t(kPageKeys);
          chunk.merge(sumsOfPage<kSize, kDims>(queries, inMemory, part, seen(lowIn, lowToken), seen(highIn, highToken),
                                               visible, call.scale, lane));
        }
        if (mixed) {  // whatever values of another slot are, 0 times them is nothing
          for (auto& s : chunk.sums) {
            if (!lowIn) s[0] = s[1] = 0;
            if (!highIn) s[2] = s[3] = 0;
          }
        }
        total.merge(chunk);
      }
    }
    first = next;
  }
  forEachSum(total, lane, [&](uint32_t c, float lowSum, float highSum) {
    if (low < rows) call.out[rowOf(low) + part * kDims + c] = lowThere ? lowSum / total.low.sum : 0.0f;
    if (high < rows) call.out[rowOf(high) + part * kDims + c] = highThere ? highSum / total.high.sum : 0.0f;
  });
}

constexpr uint32_t kPlainThreads = 128;

__device__ __forceinline__ float cacheElement(const View& of, size_t at) {
  return of.dtype == DType::kI8 ? float(of.as<int8_t>()[at]) : elementOf(of.data, of.dtype, at);
}

// A block: a chunk of a row and query head.
// (A number of blocks, as ptxas spills registers for one more without it.)
__global__ __launch_bounds__(kPlainThreads, 1) void plainKernel(AttentionCall call, Partials partials) {
  DYNAMIC_SHARED(shared);
  using Words = float[kPlainThreads / kWarp];
  using Weights = float[kChunkKeys];
  using Pages = int32_t[kChunkPages];
  SHARED(Words, words);
  SHARED(Weights, weights);
  SHARED(Pages, pages);
  waitForPredecessor();
  const uint32_t chunk = blockIdx.x, head = blockIdx.y, token = partials.firstToken + blockIdx.z;
  const Cache& cache = call.cache;
  const uint32_t size = cache.size(), keyHead = head / call.group;
  if (cache.padding(token)) return;
  const int32_t slot = cache.slots.as<int32_t>()[token], position = cache.positions.as<int32_t>()[token];
  const int32_t firstKey = int32_t(chunk * kChunkKeys);
  if (firstKey > position) return;
  const auto keys =
      uint32_t(position - firstKey + 1 < int32_t(kChunkKeys) ? position - firstKey + 1 : int32_t(kChunkKeys));
  auto* q = reinterpret_cast<float*>(shared);
  const bool codes = cache.keys.dtype == DType::kI8, turned = codes && rotates(size);
  for (uint32_t c = threadIdx.x; c < size; c += kPlainThreads) q[c] = call.q[call.rowAt(token, head) + c];
  if (threadIdx.x < kChunkPages && threadIdx.x * kPageKeys < keys) {
    pages[threadIdx.x] = pageOf(call, token, slot, chunk * kChunkPages + threadIdx.x);
  }
  __syncthreads();
  for (uint32_t p = 0; p * kPageKeys < keys; ++p) {
    if (pages[p] >= 0) continue;
    const size_t at = partials.at(token, head, chunk);  // the run fails; what merges it finds something
    for (uint32_t c = threadIdx.x; c < size; c += kPlainThreads) partials.sums[at * size + c] = 0;
    if (threadIdx.x == 0) partials.masses[at] = {};
    return;
  }
  if (turned) rotateShared<kPlainThreads>(q, size);
  const float scale = turned ? call.scale / float(size) : call.scale;
  float greatest = kMinusInfinity;
  for (uint32_t j = threadIdx.x; j < keys; j += kPlainThreads) {
    const auto page = uint32_t(pages[j / kPageKeys]);
    float score = 0;
    for (uint32_t c = 0; c < size; ++c) {
      score = fmaf(q[c], cacheElement(cache.keys, cache.keyAt(page, keyHead, j % kPageKeys, c)), score);
    }
    if (codes) score *= cache.keyScales.as<float>()[cache.scaleAt(page, keyHead, j % kPageKeys)];
    weights[j] = score * scale;
    greatest = weights[j] > greatest ? weights[j] : greatest;
  }
  greatest = ofBlock<kPlainThreads>(greatest, words, [](float a, float b) { return b > a ? b : a; });
  const float base = greatest == kMinusInfinity ? 0.0f : greatest;
  float sum = 0;
  for (uint32_t j = threadIdx.x; j < keys; j += kPlainThreads) {
    const float weight = powerOfTwo(weights[j] - base);
    sum += weight;
    const auto page = uint32_t(pages[j / kPageKeys]);
    weights[j] = codes ? weight * cache.valueScales.as<float>()[cache.scaleAt(page, keyHead, j % kPageKeys)] : weight;
  }
  sum = ofBlock<kPlainThreads>(sum, words, Add());
  const size_t at = partials.at(token, head, chunk);
  for (uint32_t c = threadIdx.x; c < size; c += kPlainThreads) {
    float value = 0;
    for (uint32_t j = 0; j < keys; ++j) {
      const auto page = uint32_t(pages[j / kPageKeys]);
      value = fmaf(weights[j], cacheElement(cache.values, cache.valueAt(page, keyHead, j % kPageKeys, c)), value);
    }
    partials.sums[at * size + c] = value;
  }
  if (threadIdx.x == 0) partials.masses[at] = {greatest, sum};
}

// A block: the chunks of a row and query head, in ascending order. `few`: a row that has one chunk is written already.
__global__ __launch_bounds__(kPlainThreads) void mergeKernel(AttentionCall call, Partials partials, bool few) {
  DYNAMIC_SHARED(shared);
  waitForPredecessor();
  letSuccessorStart();
  const uint32_t head = blockIdx.x, token = partials.firstToken + blockIdx.y, size = call.cache.size();
  const int32_t position = call.cache.positions.as<int32_t>()[token];
  float* out = call.out + call.rowAt(token, head);
  if (call.cache.padding(token)) {
    for (uint32_t c = threadIdx.x; c < size; c += kPlainThreads) out[c] = 0;
    return;
  }
  if (few && position < int32_t(kChunkKeys)) return;
  const uint32_t chunks = uint32_t(position) / kChunkKeys + 1;
  auto* merged = reinterpret_cast<float*>(shared);
  for (uint32_t c = threadIdx.x; c < size; c += kPlainThreads) {
    Mass mass;
    float sum = 0;
    for (uint32_t chunk = 0; chunk < chunks; ++chunk) {
      const size_t at = partials.at(token, head, chunk);
      const Factors by = join(mass, partials.masses[at]);
      sum = fmaf(sum, by.before, partials.sums[at * size + c] * by.next);
    }
    merged[c] = sum / mass.sum;
  }
  const bool turned = call.cache.keys.dtype == DType::kI8 && rotates(size);
  if (turned) rotateShared<kPlainThreads>(merged, size);
  for (uint32_t c = threadIdx.x; c < size; c += kPlainThreads) out[c] = turned ? merged[c] / float(size) : merged[c];
}

bool onTensorCores(const Cache& cache) {
  return cache.keys.dtype == DType::kF16 && (cache.size() == 64 || cache.size() == 128);
}

uint32_t chunksOf(const Cache& cache) { return blocksOf(size_t(cache.pageTable.dims[1]) * kPageKeys, kChunkKeys); }

// Tokens whose chunks are in the workspace at a time.
uint32_t tokensAtOnce(const AttentionCall& call) {
  const size_t one = Partials::bytes(1, call.heads(), chunksOf(call.cache), call.cache.size());
  const size_t fit = one == 0 ? call.tokens : kMostPartialBytes / one;
  const uint32_t most = onTensorCores(call.cache) ? kFewRows : 65535;
  const uint32_t tokens = call.tokens < most ? call.tokens : most;
  return fit < 1 ? 1 : fit < tokens ? uint32_t(fit) : tokens;
}

AttentionCall attentionCall(const OpCall& call) {
  using namespace quipu::attention;
  const Cache cache = cacheOf(call, {kKeys, kValues, kSlots, kPositions, kPageTable, kKeyScales, kValueScales});
  const uint32_t group = call[kQ].dims[1] / (cache.heads() * cache.size());
  return {call[kQ].as<float>(),
          call[kOut].as<float>(),
          cache,
          call[kQ].dims[0],
          group,
          call.floatAttribute(kScale) * kLog2E,
          call.state,
          call.op};
}

Partials partialsOf(const AttentionCall& call, std::byte* workspace, uint32_t tokens) {
  const uint32_t chunks = chunksOf(call.cache);
  auto* sums = reinterpret_cast<float*>(workspace);
  auto* masses = reinterpret_cast<Mass*>(sums + size_t(tokens) * call.heads() * chunks * call.cache.size());
  return {masses, sums, call.heads(), chunks, call.cache.size(), 0};
}

template <int kSize>
void launchTiles(const AttentionCall& call, std::byte* workspace, Launches& launches) {
  const uint32_t heads = call.cache.heads();
  if (call.tokens > kFewRows) {
    const uint32_t tiles = blocksOf(size_t(call.tokens) * call.group, 16);
    launches(dim3(blocksOf(tiles, kAttentionWarps), heads, kSize / 64), kAttentionWarps * kWarp, 0, promptKernel<kSize>,
             call);
    return;
  }
  const Partials partials = partialsOf(call, workspace, call.tokens);
  const uint32_t tilesOfGroup = blocksOf(call.group, 16);
  launches(dim3(partials.chunks, heads * tilesOfGroup, call.tokens), kChunkPages * kWarp,
           kChunkPages * StagedPage<kSize>::kBytes, chunkKernel<kSize>, call, partials, tilesOfGroup);
  if (partials.chunks == 1) return;
  launches(dim3(call.heads(), call.tokens), kPlainThreads, kSize * sizeof(float), mergeKernel, call, partials, true);
}

}  // namespace

size_t attentionWorkspace(const OpCall& op) {
  const AttentionCall call = attentionCall(op);
  const uint32_t tokens =
      onTensorCores(call.cache) ? (call.tokens < kFewRows ? call.tokens : kFewRows) : tokensAtOnce(call);
  return Partials::bytes(tokens, call.heads(), chunksOf(call.cache), call.cache.size());
}

void attention(const OpCall& op, Launches& launches) {
  AttentionCall call = attentionCall(op);
  if (call.tokens == 0 || chunksOf(call.cache) == 0) return;
  if (onTensorCores(call.cache)) {
    return call.cache.size() == 64 ? launchTiles<64>(call, op.workspace, launches)
                                   : launchTiles<128>(call, op.workspace, launches);
  }
  const uint32_t most = tokensAtOnce(call), size = call.cache.size();
  for (uint32_t first = 0; first < call.tokens; first += most) {
    const uint32_t tokens = call.tokens - first < most ? call.tokens - first : most;
    Partials partials = partialsOf(call, op.workspace, most);
    partials.firstToken = first;
    launches(dim3(partials.chunks, call.heads(), tokens), kPlainThreads, size * sizeof(float), plainKernel, call,
             partials);
    launches(dim3(call.heads(), tokens), kPlainThreads, size * sizeof(float), mergeKernel, call, partials, false);
  }
}

}  // namespace quipu::cuda
