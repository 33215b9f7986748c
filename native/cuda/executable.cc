#include "cuda/executable.h"

#include <algorithm>

namespace quipu::cuda {

namespace {

// Rows up to which a step is worth a graph: with more, its kernels take longer than their launches.
constexpr uint32_t kGraphRows = 64;
constexpr size_t kMostGraphs = 32;

}  // namespace

Status ArenaSizes::of(const Program& program, ArenaSizes& out) {
  size_t workspace = 0;
  for (const Op& op : program.ops()) {
    const OpKernels* kernels = kernelsOf(op.code);
    if (kernels == nullptr) {
      return Status::error(ErrorCode::kInternal, std::string("the CUDA device has no kernel of ") + nameOf(op.code));
    }
    if (kernels->workspaceBytes == nullptr) continue;
    View operands[kMaxOperands];
    for (uint32_t i = 0; i < op.operandCount; ++i) {
      const Tensor& t = program.tensors()[op.operands[i]];
      operands[i] = {nullptr, t.dtype, {t.dims[0], t.dims[1], t.dims[2], t.dims[3]}, 0};
    }
    const OpCall call = {operands, op.operandCount, op.attributes, 0, nullptr, nullptr};
    workspace = std::max(workspace, kernels->workspaceBytes(call));
  }
  const size_t rows = std::max<size_t>(failingRows(program), 1);
  const size_t state = offsetof(RunState, rows) + rows * sizeof(unsigned long long);
  const auto whole = [](size_t bytes) { return bytes > kTooMany - 255 ? kTooMany : (bytes + 255) / 256 * 256; };
  out = {whole(program.arenaBytes()), whole(workspace), whole(state)};
  return {};
}

bool SharedArena::holds(const ArenaSizes& sizes) const {
  return data_ != nullptr && sizes.arena <= sizes_.arena && sizes.workspace <= sizes_.workspace &&
         sizes.state <= sizes_.state;
}

Status SharedArena::reserve(const ArenaSizes& sizes) {
  const ArenaSizes grown = {std::max(sizes_.arena, sizes.arena), std::max(sizes_.workspace, sizes.workspace),
                            std::max(sizes_.state, sizes.state)};
  data_.reset();
  sizes_ = {};
  if (Status status = allocateOnDevice(plus(plus(grown.arena, grown.workspace), grown.state), data_); !status.ok()) {
    return status;
  }
  sizes_ = grown;
  ++generation_;
  return {};
}

CudaExecutable::~CudaExecutable() { forgetGraphs(); }

void CudaExecutable::forgetGraphs() {
  for (const Captured& captured : graphs_) (void)cudaGraphExecDestroy(captured.graph);
  graphs_.clear();
}

Status CudaExecutable::load(const Program& program, const SharedArena& arena, const Gpu& gpu) {
  arena_ = &arena;
  gpu_ = gpu;
  if (Status status = ArenaSizes::of(program, sizes_); !status.ok()) return status;
  steps_.reserve(program.ops().size());
  for (uint32_t index = 0; index < program.ops().size(); ++index) {
    const Op& op = program.ops()[index];
    Step& step = steps_.emplace_back();
    step.name = nameOf(op.code);
    step.kernels = kernelsOf(op.code);
    for (uint32_t i = 0; i < op.operandCount; ++i) {
      const Tensor& t = program.tensors()[op.operands[i]];
      const bool inArena = program.inArena(t);
      std::byte* data = inArena ? nullptr : addressOf(program.bufferOf(t)) + t.offset;
      const uint32_t bound = inArena ? 0 : program.bufferOf(t).indexBound();
      const ScaledHalf scaled = inArena ? ScaledHalf() : scaledHalf(program.bufferOf(t));
      if (scaled.scales != nullptr && (t.dtype != DType::kBF16 || t.offset != 0 || t.dims[1] != scaled.columns)) {
        return Status::error(ErrorCode::kInternal, "a matrix of bf16 is used otherwise than as a whole");
      }
      const DType dtype = scaled.scales == nullptr ? t.dtype : DType::kF16;
      step.operands.push_back({data, dtype, {t.dims[0], t.dims[1], t.dims[2], t.dims[3]}, bound, scaled.scales});
      step.leading.push_back(t.leading);
      step.arenaOffsets.push_back(inArena ? t.offset : SIZE_MAX);
    }
    step.call = {step.operands.data(), op.operandCount, op.attributes, index, nullptr, nullptr};
  }
  return {};
}

void CudaExecutable::resolve() {
  if (generation_ == arena_->generation()) return;
  forgetGraphs();
  for (Step& step : steps_) {
    for (size_t i = 0; i < step.operands.size(); ++i) {
      if (step.arenaOffsets[i] != SIZE_MAX) step.operands[i].data = arena_->arena() + step.arenaOffsets[i];
    }
    step.call.state = arena_->state();
    step.call.workspace = arena_->workspace();
  }
  generation_ = arena_->generation();
}

void CudaExecutable::setCounts(const RowCounts& counts) {
  for (Step& step : steps_) {
    for (size_t i = 0; i < step.leading.size(); ++i) {
      if (step.leading[i] != Leading::kFixed) step.operands[i].dims[0] = counts.of(step.leading[i]);
    }
  }
}

Status CudaExecutable::launchAll(cudaStream_t stream) {
  Launches launches(stream, gpu_);
  for (const Step& step : steps_) {
    step.kernels->launch(step.call, launches);
    if (launches.error() != cudaSuccess) return statusOf(launches.error(), step.name);
  }
  return {};
}

Status CudaExecutable::enqueue(const RowCounts& counts, cudaStream_t stream) {
  resolve();
  if (counts.rows > kGraphRows || counts.wanted > kGraphRows) {
    setCounts(counts);
    return launchAll(stream);
  }
  const auto found =
      std::find_if(graphs_.begin(), graphs_.end(), [&](const Captured& c) { return c.counts == counts; });
  if (found == graphs_.end()) {
    if (Status status = capture(counts, stream); !status.ok()) return status;
  } else {
    graphs_.splice(graphs_.begin(), graphs_, found);
  }
  return statusOf(cudaGraphLaunch(graphs_.front().graph, stream), "a graph was not launched");
}

Status CudaExecutable::capture(const RowCounts& counts, cudaStream_t stream) {
  setCounts(counts);
  if (const cudaError_t error = cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal);
      error != cudaSuccess) {
    return statusOf(error, "a graph was not begun");
  }
  Status launched = launchAll(stream);
  cudaGraph_t graph = nullptr;
  const cudaError_t ended = cudaStreamEndCapture(stream, &graph);
  if (launched.ok()) launched = statusOf(ended, "a graph was not captured");
  if (launched.ok()) {
    cudaGraphExec_t made = nullptr;
    launched = statusOf(cudaGraphInstantiate(&made, graph, 0), "a graph was not made");
    if (launched.ok()) graphs_.push_front({counts, made});
  }
  if (graph != nullptr) (void)cudaGraphDestroy(graph);
  if (graphs_.size() > kMostGraphs) {
    (void)cudaGraphExecDestroy(graphs_.back().graph);  // what runs of it goes on to its end
    graphs_.pop_back();
  }
  return launched;
}

}  // namespace quipu::cuda
