// Ops of rows that no matrix is part of: gatherRows, rmsNorm, gatherNorm, add, swiglu, ropeAngles, rope, resume,
// advance. Each moves its rows once: bound by memory, or in a decode step by the launch.
#include "cuda/kernels/kernels.h"
#include "cuda/kernels/packed.h"
#include "cuda/kernels/rows.h"

namespace quipu::cuda {

namespace {

// Element k of row `id` of a table; 0 where it has no such row.
__device__ float tableElement(const View& table, int32_t id, uint32_t k) {
  if (id < 0 || uint32_t(id) >= table.dims[0]) return 0;
  const size_t width = table.dims[1];
  if (isPacked(table.dtype)) return packedElement(table, uint32_t(id), k);
  const float element = elementOf(table.data, table.dtype, size_t(id) * width + k);
  return table.scales == nullptr ? element : element * table.scales[id];
}

// to[k] = of(k) by a block; a thread waits once for four of them.
template <typename Of>
__device__ __forceinline__ void storeRow(float* to, uint32_t width, Of of) {
  for (uint32_t first = threadIdx.x; first < width; first += 4 * kRowThreads) {
    float v[4];
#pragma unroll
    for (uint32_t i = 0; i < 4; ++i) v[i] = first + i * kRowThreads < width ? of(first + i * kRowThreads) : 0;
#pragma unroll
    for (uint32_t i = 0; i < 4; ++i) {
      if (first + i * kRowThreads < width) to[first + i * kRowThreads] = v[i];
    }
  }
}

// A block is a part of a row.
constexpr uint32_t kGathered = 4 * kRowThreads;

__global__ __launch_bounds__(kRowThreads) void gatherKernel(View table, View ids, View out) {
  waitForPredecessor();
  const int32_t id = ids.as<int32_t>()[blockIdx.x];
  const uint32_t width = out.dims[1], first = blockIdx.y * kGathered;
  storeRow(out.as<float>() + size_t(blockIdx.x) * width + first, width - first < kGathered ? width - first : kGathered,
           [&](uint32_t k) { return tableElement(table, id, first + k); });
}

__global__ __launch_bounds__(kRowThreads) void normKernel(View x, View weight, View out, float epsilon) {
  using Words = float[kRowThreads / kWarp];
  SHARED(Words, words);
  waitForPredecessor();
  const uint32_t width = x.dims[1];
  const float* from = x.as<float>() + size_t(blockIdx.x) * width;
  float* to = out.as<float>() + size_t(blockIdx.x) * width;
  const float scale = normScaleOf(from, width, epsilon, words);
  storeRow(to, width, [&](uint32_t k) { return from[k] * scale * elementOf(weight.data, weight.dtype, k); });
}

__global__ __launch_bounds__(kRowThreads) void gatherNormKernel(View table, View ids, View weight, View out,
                                                                float epsilon) {
  using Words = float[kRowThreads / kWarp];
  SHARED(Words, words);
  waitForPredecessor();
  const int32_t id = ids.as<int32_t>()[blockIdx.x];
  const uint32_t width = out.dims[1];
  float* to = out.as<float>() + size_t(blockIdx.x) * width;
  storeRow(to, width, [&](uint32_t k) { return tableElement(table, id, k); });
  __syncthreads();
  const float scale = normScaleOf(to, width, epsilon, words);
  storeRow(to, width, [&](uint32_t k) { return to[k] * scale * elementOf(weight.data, weight.dtype, k); });
}

template <typename Of>
__global__ void elementsKernel(const float* a, const float* b, float* out, size_t count, Of of) {
  waitForPredecessor();
  const size_t stride = size_t(gridDim.x) * blockDim.x;
  for (size_t i = size_t(blockIdx.x) * blockDim.x + threadIdx.x; i < count; i += stride) out[i] = of(a[i], b[i]);
}

struct Swiglu {
  __device__ float operator()(float gate, float up) const { return silu(gate) * up; }
};

template <typename Of>
void launchElements(const View& a, const View& b, const View& out, Launches& launches, Of of) {
  const size_t count = size_t(out.dims[0]) * out.dims[1];
  const uint32_t blocks = blocksOf(count, kRowThreads);
  launches(dim3(blocks < 2048 ? blocks : 2048), kRowThreads, 0, elementsKernel<Of>, a.as<float>(), b.as<float>(),
           out.as<float>(), count, of);
}

// cos and sin of |x| ≤ 2²⁴ in f64, by the steps of the CPU (native/cpu/kernels/rope_angles.h): the same bits.
__device__ void cosineAndSine(double x, double* cosine, double* sine) {
  const double n = rint(x * 0x1.45f306dc9c883p-1);
  double r = fma(-n, 0x1.921fb54442d18p+0, x);
  r = fma(-n, 0x1.1a62633145c07p-54, r);
  const double z = r * r;
  double s = 1.58969099521155010221e-10;
  s = fma(s, z, -2.50507602534068634195e-08);
  s = fma(s, z, 2.75573137070700676789e-06);
  s = fma(s, z, -1.98412698298579493134e-04);
  s = fma(s, z, 8.33333333332248946124e-03);
  s = fma(s, z, -1.66666666666666324348e-01);
  s = fma(s * z, r, r);
  double c = -1.13596475577881948265e-11;
  c = fma(c, z, 2.08757232129817482790e-09);
  c = fma(c, z, -2.75573143513906633035e-07);
  c = fma(c, z, 2.48015872894767294178e-05);
  c = fma(c, z, -1.38888888888741095749e-03);
  c = fma(c, z, 4.16666666666666019037e-02);
  c = fma(c, z, -0.5);
  c = fma(c, z, 1.0);
  const int64_t quarter = static_cast<int64_t>(n) & 3;
  *cosine = quarter == 0 ? c : quarter == 1 ? -s : quarter == 2 ? -c : s;
  *sine = quarter == 0 ? s : quarter == 1 ? c : quarter == 2 ? -s : -c;
}

__global__ void anglesKernel(View positions, View frequencies, View out, float scale) {
  waitForPredecessor();
  const uint32_t half = out.dims[1];
  const int32_t position = positions.as<int32_t>()[blockIdx.x];
  const float at = float(position < 0 ? 0 : position);  // padding rows turn nothing
  float* to = out.as<float>() + size_t(blockIdx.x) * half * 2;
  for (uint32_t j = threadIdx.x; j < half; j += blockDim.x) {
    const float angle = at * frequencies.as<float>()[j];
    double cosine, sine;
    cosineAndSine(angle, &cosine, &sine);
    to[2 * j] = float(cosine) * scale;
    to[2 * j + 1] = float(sine) * scale;
  }
}

__global__ void ropeKernel(View x, View angles, View out) {
  waitForPredecessor();
  const uint32_t width = x.dims[1], half = angles.dims[1];
  const size_t row = blockIdx.x;
  const float* from = x.as<float>() + row * width;
  float* to = out.as<float>() + row * width;
  const float* turns = angles.as<float>() + row * half * 2;
  for (uint32_t pair = threadIdx.x; pair < width / 2; pair += blockDim.x) {
    const uint32_t j = pair % half, first = pair / half * 2 * half + j, second = first + half;
    const float cosine = turns[2 * j], sine = turns[2 * j + 1], a = from[first], b = from[second];
    to[first] = fmaf(-b, sine, a * cosine);
    to[second] = fmaf(a, sine, b * cosine);
  }
}

struct ResumeViews {
  View rowIds, rowSlots, rowPositions, lastIds, nextPositions, ids, slots, positions;
};

__global__ void resumeKernel(ResumeViews v, const RunState* state) {
  waitForPredecessor();
  const uint32_t row = blockIdx.x * blockDim.x + threadIdx.x;
  if (row >= v.rowSlots.dims[0] || hasFailed(state)) return;
  const int32_t slot = v.rowSlots.as<int32_t>()[row];
  int32_t id = v.rowIds.as<int32_t>()[row], position = v.rowPositions.as<int32_t>()[row];
  if (slot >= 0 && position < 0) {
    id = v.lastIds.as<int32_t>()[slot];
    position = v.nextPositions.as<int32_t>()[slot];
  }
  // What is written keeps the bounds of its buffers.
  const bool padding =
      slot < 0 || position < 0 || uint32_t(slot) >= v.slots.bound || uint32_t(position) >= v.positions.bound;
  v.ids.as<int32_t>()[row] = padding ? 0 : id;
  v.slots.as<int32_t>()[row] = padding ? -1 : slot;
  v.positions.as<int32_t>()[row] = padding ? -1 : position;
}

struct AdvanceViews {
  View sampled, outputRows, slots, positions, stops, lastIds, nextPositions, history;
};

// One thread, as rows of one slot follow each other.
__global__ void advanceKernel(AdvanceViews v, RunState* state, uint32_t op) {
  waitForPredecessor();
  if (hasFailed(state)) return;
  for (uint32_t row = 0; row < v.sampled.dims[0]; ++row) {
    const int32_t stepRow = v.outputRows.as<int32_t>()[row];
    if (stepRow < 0) continue;
    const int32_t slot = v.slots.as<int32_t>()[stepRow], position = v.positions.as<int32_t>()[stepRow];
    if (slot < 0 || position < 0) continue;
    int32_t& nextPosition = v.nextPositions.as<int32_t>()[slot];
    nextPosition = -1;
    const int32_t id = v.sampled.as<int32_t>()[row];
    if (id == -1) continue;  // the row had no token and has none to go on with
    if (uint32_t(id) >= v.history.bound) {
      fail(state, op, ErrorCode::kInternal, row);
      continue;
    }
    const uint32_t next = uint32_t(position) + 1;
    if (next >= v.nextPositions.bound) continue;  // which is at most the context
    v.history.as<int32_t>()[size_t(slot) * v.history.dims[1] + next] = id;
    v.lastIds.as<int32_t>()[slot] = id;
    const int32_t* stop = v.stops.as<int32_t>() + size_t(slot) * v.stops.dims[1];
    bool ends = false;
    for (uint32_t i = 0; i < v.stops.dims[1]; ++i) ends = ends || stop[i] == id;
    if (!ends) nextPosition = int32_t(next);
  }
}

}  // namespace

void gatherRows(const OpCall& call, Launches& launches) {
  using namespace gather_rows;
  launches(dim3(call[kOut].dims[0], blocksOf(call[kOut].dims[1], kGathered)), kRowThreads, 0, gatherKernel,
           call[kTable], call[kIds], call[kOut]);
}

void rmsNorm(const OpCall& call, Launches& launches) {
  using namespace rms_norm;
  launches(dim3(call[kX].dims[0]), kRowThreads, 0, normKernel, call[kX], call[kWeight], call[kOut],
           call.floatAttribute(kEpsilon));
}

void gatherNorm(const OpCall& call, Launches& launches) {
  using namespace gather_norm;
  launches(dim3(call[kOut].dims[0]), kRowThreads, 0, gatherNormKernel, call[kTable], call[kIds], call[kWeight],
           call[kOut], call.floatAttribute(kEpsilon));
}

void add(const OpCall& call, Launches& launches) {
  launchElements(call[add::kA], call[add::kB], call[add::kOut], launches, Add());
}

void swiglu(const OpCall& call, Launches& launches) {
  launchElements(call[swiglu::kGate], call[swiglu::kUp], call[swiglu::kOut], launches, Swiglu());
}

void ropeAngles(const OpCall& call, Launches& launches) {
  using namespace rope_angles;
  launches(dim3(call[kPositions].dims[0]), 64, 0, anglesKernel, call[kPositions], call[kInverseFrequencies], call[kOut],
           call.floatAttribute(kScale));
}

void rope(const OpCall& call, Launches& launches) {
  using namespace quipu::rope;
  launches(dim3(call[kX].dims[0]), kRowThreads, 0, ropeKernel, call[kX], call[kAngles], call[kOut]);
}

void resume(const OpCall& call, Launches& launches) {
  using namespace quipu::resume;
  const ResumeViews views = {call[kRowIds],        call[kRowSlots], call[kRowPositions], call[kLastIds],
                             call[kNextPositions], call[kIds],      call[kSlots],        call[kPositions]};
  launches(dim3(blocksOf(call[kRowSlots].dims[0], 128)), 128, 0, resumeKernel, views, call.state);
}

cudaError_t findKernels() {
  cudaFuncAttributes attributes;
  return cudaFuncGetAttributes(&attributes, reinterpret_cast<const void*>(advanceKernel));
}

void advance(const OpCall& call, Launches& launches) {
  using namespace quipu::advance;
  const AdvanceViews views = {call[kSampled], call[kOutputRows], call[kSlots],         call[kPositions],
                              call[kStops],   call[kLastIds],    call[kNextPositions], call[kHistory]};
  launches(dim3(1), 1, 0, advanceKernel, views, call.state, call.op);
}

}  // namespace quipu::cuda
