// sample, matmulSample: the next id of each row, with its logprob and the best k, as docs/numerics.md says and to the
// CPU's bits. The logits' blocks of 512 are scanned, and then summed, by all processors; what is left, by a block a
// row, reads none of them more than once where it takes the greatest, and all two to six times where it draws.
#include "cuda/kernels/draw.h"
#include "cuda/kernels/kernels.h"
#include "cuda/kernels/product_kernel.h"

namespace quipu::cuda {

namespace {

struct SampleViews {
  View logits, outputRows, slots, positions, history, floats, ints, biasIds, biases, ids, logprobs, bestIds,
      bestLogprobs;
};

// Of a row, in the workspace.
struct SampleRoom {
  std::byte* first;
  uint32_t vocabulary, best;

  __host__ __device__ static size_t lines(size_t bytes) { return (bytes + 63) / 64 * 64; }
  __host__ __device__ uint32_t blocks() const { return sampleBlocks(vocabulary); }
  __host__ __device__ size_t bytes() const {
    return 2 * lines(size_t(vocabulary) * 4) + lines(size_t(blocks()) * 8) + 3 * lines(size_t(blocks()) * 4) +
           lines(size_t(best) * 8);
  }
  size_t bytesFor(uint32_t rows) const { return times(bytes(), rows); }
  __device__ std::byte* of(uint32_t row) const { return first + row * bytes(); }
  __device__ float* processed(uint32_t row) const { return reinterpret_cast<float*>(of(row)); }
  __device__ uint32_t* counts(uint32_t row) const {
    return reinterpret_cast<uint32_t*>(of(row) + lines(size_t(vocabulary) * 4));
  }
  __device__ unsigned long long* masses(uint32_t row) const {
    return reinterpret_cast<unsigned long long*>(of(row) + 2 * lines(size_t(vocabulary) * 4));
  }
  __device__ RowBlocks rowBlocks(uint32_t row) const {
    auto* greatest = reinterpret_cast<float*>(masses(row)) + lines(size_t(blocks()) * 8) / 4;
    const size_t each = lines(size_t(blocks()) * 4) / 4;
    return {greatest, greatest + each, greatest + 2 * each};
  }
  __device__ unsigned long long* ranks(uint32_t row) const {
    return reinterpret_cast<unsigned long long*>(rowBlocks(row).sums + lines(size_t(blocks()) * 4) / 4);
  }
};

// A logit and its id as one number, the greater the better.
__device__ __forceinline__ unsigned long long rankOf(float logit, uint32_t id) {
  return static_cast<unsigned long long>(keyOf(logit)) << 32 | uint32_t(~id);
}

// The k best by the model's own logits, sorted.
__device__ void reportBest(const float* logits, const RowBlocks& blocks, uint32_t vocabulary, const Extent& extent,
                           double logSum, uint32_t k, int32_t* ids, float* logprobs, unsigned long long* ranks,
                           RankScratch& scratch) {
  const auto report = [&](uint32_t place, uint32_t id) {
    ids[place] = int32_t(id);
    logprobs[place] = float(double(logits[id]) - double(extent.greatest) - logSum);
  };
  if (k == 1) {
    const uint32_t best = bestOf(logits, blocks, vocabulary, extent.greatest, scratch);
    if (threadIdx.x == 0) report(0, best);
    return;
  }
  const Ranked ranked = {logits, vocabulary, false, 0, 1, 1};
  const Cut cut = cutOfBest(ranked, blocks, extent, extent.least, k, scratch);
  if (threadIdx.x == 0) scratch.counter = 0;
  __syncthreads();
  for (uint32_t id = threadIdx.x; id < vocabulary; id += kSampleThreads) {
    if (cut.keeps(logits[id], id)) ranks[atomicAdd(&scratch.counter, 1u)] = rankOf(logits[id], id);
  }
  __syncthreads();
  for (uint32_t i = threadIdx.x; i < k; i += kSampleThreads) {
    uint32_t place = 0;
    for (uint32_t j = 0; j < k; ++j) place += ranks[j] > ranks[i];
    report(place, ~uint32_t(ranks[i]));
  }
}

// A warp: a block of 512 of a row.
__global__ __launch_bounds__(kRowThreads) void scanKernel(View logits, SampleRoom room) {
  waitForPredecessor();
  letSuccessorStart();
  const uint32_t block = blockIdx.x * (kRowThreads / kWarp) + threadIdx.x / kWarp, vocabulary = logits.dims[1];
  if (block >= room.blocks()) return;
  scanBlock(logits.as<float>() + size_t(blockIdx.y) * vocabulary, vocabulary, block, room.rowBlocks(blockIdx.y));
}

// Half a warp: a block of 512 of a row.
__global__ __launch_bounds__(kRowThreads) void sumKernel(View logits, SampleRoom room) {
  using Words = float[kRowThreads / kWarp];
  SHARED(Words, words);
  waitForPredecessor();
  letSuccessorStart();
  const uint32_t vocabulary = logits.dims[1];
  const RowBlocks blocks = room.rowBlocks(blockIdx.y);
  float greatest = blocks.greatest[0];
  for (uint32_t i = threadIdx.x; i < room.blocks(); i += kRowThreads) {
    greatest = MostOrNan()(greatest, blocks.greatest[i]);
  }
  greatest = ofBlock(greatest, words, MostOrNan());
  const float* row = logits.as<float>() + size_t(blockIdx.y) * vocabulary;
  sumBlock(row, vocabulary, blockIdx.x * (kRowThreads / 16) + threadIdx.x / 16, greatest, blocks);
}

__global__ __launch_bounds__(kSampleThreads) void sampleKernel(SampleViews v, SampleRoom room, RunState* state,
                                                               uint32_t op) {
  SHARED(RankScratch, scratch);
  SHARED(SampleRow, request);  // as logSum, for want of registers
  waitForPredecessor();
  const uint32_t row = blockIdx.x, vocabulary = v.logits.dims[1], k = v.bestIds.dims[1];
  int32_t *id = v.ids.as<int32_t>() + row, *bestIds = v.bestIds.as<int32_t>() + size_t(row) * k;
  float *logprob = v.logprobs.as<float>() + row, *bestLogprobs = v.bestLogprobs.as<float>() + size_t(row) * k;
  const int32_t stepRow = v.outputRows.as<int32_t>()[row];
  const int32_t slot = stepRow < 0 ? -1 : v.slots.as<int32_t>()[stepRow];
  const int32_t position = stepRow < 0 ? -1 : v.positions.as<int32_t>()[stepRow];
  const bool there = slot >= 0 && position >= 0;
  if (threadIdx.x == 0) {
    *id = -1;
    *logprob = 0;
    const uint32_t biases = v.biasIds.dims[1];
    const auto at = size_t(there ? slot : 0);
    request = {v.history.as<int32_t>() + at * v.history.dims[1],
               v.floats.as<float>() + at * sample::kFloatSettings,
               v.ints.as<int32_t>() + at * sample::kIntSettings,
               v.biasIds.as<int32_t>() + at * biases,
               v.biases.as<float>() + at * biases,
               biases,
               uint32_t(position),
               vocabulary};
  }
  for (uint32_t i = threadIdx.x; i < k; i += kSampleThreads) {
    bestIds[i] = -1;
    bestLogprobs[i] = 0;
  }
  if (!there) return;
  const float* logits = v.logits.as<float>() + size_t(row) * vocabulary;
  const RowBlocks blocks = room.rowBlocks(row);
  const Extent extent = extentOf(blocks, vocabulary, scratch);  // barriers, behind which the request is there
  if (extent.greatest - extent.greatest != 0) {
    if (threadIdx.x == 0) fail(state, op, ErrorCode::kNotANumber, row);
    return;
  }
  unsigned long long* masses = room.masses(row);
  const double logSum = logOfSum(blocks, vocabulary);
  if (threadIdx.x == 0) scratch.logSum = logSum;
  reportBest(logits, blocks, vocabulary, extent, logSum, k, bestIds, bestLogprobs, room.ranks(row), scratch);
  const float* chosenFrom = logits;
  Extent changed = extent;
  if (request.penalizes() || request.hasBiases()) {
    float* processed = room.processed(row);
    for (uint32_t i = threadIdx.x; i < vocabulary; i += kSampleThreads) processed[i] = logits[i];
    penalize(request, processed, room.counts(row), scratch);
    for (uint32_t block = threadIdx.x / kWarp; block < room.blocks(); block += kSampleThreads / kWarp) {
      scanBlock(processed, vocabulary, block, blocks);
    }
    __syncthreads();
    changed = extentOf(blocks, vocabulary, scratch);
    if (changed.greatest == -__builtin_huge_valf()) {
      if (threadIdx.x == 0) fail(state, op, ErrorCode::kAllForbidden, row);
      return;
    }
    chosenFrom = processed;
  }
  // An infinite bias decides alone.
  const bool drawn = request.floats[sample::kTemperature] > 0 && changed.greatest - changed.greatest == 0;
  const uint32_t picked = drawn ? draw(request, chosenFrom, blocks, changed, masses, scratch)
                                : bestOf(chosenFrom, blocks, vocabulary, changed.greatest, scratch);
  if (threadIdx.x == 0) {
    *id = int32_t(picked);
    *logprob = float(double(logits[picked]) - double(extent.greatest) - scratch.logSum);
  }
}

// The operands from outputRows on lie in both ops one after another.
void launchSample(const OpCall& call, uint32_t first, const View& logits, std::byte* workspace, Launches& launches) {
  const auto at = [&](uint32_t operand) -> const View& { return call[first + operand - sample::kOutputRows]; };
  const SampleViews views = {logits,
                             at(sample::kOutputRows),
                             at(sample::kSlots),
                             at(sample::kPositions),
                             at(sample::kHistory),
                             at(sample::kFloats),
                             at(sample::kInts),
                             at(sample::kBiasIds),
                             at(sample::kBiases),
                             at(sample::kIds),
                             at(sample::kLogprobs),
                             at(sample::kBestIds),
                             at(sample::kBestLogprobs)};
  const SampleRoom room = {workspace, logits.dims[1], views.bestIds.dims[1]};
  const uint32_t rows = views.outputRows.dims[0];
  launches(dim3(blocksOf(room.blocks(), kRowThreads / kWarp), rows), kRowThreads, 0, scanKernel, logits, room);
  launches(dim3(blocksOf(room.blocks(), kRowThreads / 16), rows), kRowThreads, 0, sumKernel, logits, room);
  launches(dim3(rows), kSampleThreads, 0, sampleKernel, views, room, call.state, call.op);
}

// Of what lies behind the logits.
constexpr size_t kLogitsAlignment = 256;

}  // namespace

size_t sampleWorkspace(const OpCall& call) {
  using namespace quipu::sample;
  return SampleRoom{nullptr, call[kLogits].dims[1], call[kBestIds].dims[1]}.bytesFor(call[kOutputRows].dims[0]);
}

void sample(const OpCall& call, Launches& launches) {
  using namespace quipu::sample;
  launchSample(call, kOutputRows, call[kLogits], call.workspace, launches);
}

// The logits, then the product's workspace or that of sampling, one after the other.
size_t matmulSampleWorkspace(const OpCall& call) {
  using namespace matmul_sample;
  const uint32_t rows = call[kA].dims[0], vocabulary = call[kB].dims[0];
  const size_t product = productWorkspace(call[kA].dims[1], rows);
  const size_t sampling = SampleRoom{nullptr, vocabulary, call[kBestIds].dims[1]}.bytesFor(rows);
  const size_t logits = times(size_t(rows) * vocabulary, sizeof(float));
  return plus(plus(logits, kLogitsAlignment), product > sampling ? product : sampling);
}

void matmulSample(const OpCall& call, Launches& launches) {
  using namespace matmul_sample;
  const uint32_t rows = call[kA].dims[0], vocabulary = call[kB].dims[0];
  const size_t bytes = size_t(rows) * vocabulary * sizeof(float);
  std::byte* room = call.workspace + (bytes + kLogitsAlignment - 1) / kLogitsAlignment * kLogitsAlignment;
  const View logits = {call.workspace, DType::kF32, {rows, vocabulary, 1, 1}, 0};
  storeProduct({matrixOf(call[kB]), nullptr, logits.as<float>()}, {call[kA].as<float>(), nullptr, DType::kF32, 0}, rows,
               room, launches);
  launchSample(call, kOutputRows, logits, room, launches);
}

}  // namespace quipu::cuda
