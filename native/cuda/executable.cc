#include "cuda/executable.h"

#include <algorithm>

namespace quipu::cuda {

namespace {

// Rows up to which a step is worth a graph: with more, its kernels take longer than their launches.
constexpr uint32_t kGraphRows = 64;
constexpr size_t kMostGraphs = 32;

}  // namespace

Status SharedArena::reserve(size_t arenaBytes, size_t workspaceBytes) {
  const auto whole = [](size_t bytes) { return bytes > kTooMany - 255 ? kTooMany : (bytes + 255) / 256 * 256; };
  const size_t arena = std::max(arenaBytes_, whole(arenaBytes));
  const size_t workspace = std::max(workspaceBytes_, whole(workspaceBytes));
  if (data_ != nullptr && arena == arenaBytes_ && workspace == workspaceBytes_) return {};
  DeviceBytes grown;
  if (Status status = allocateOnDevice(plus(arena, workspace), grown); !status.ok()) return status;
  data_ = std::move(grown);
  arenaBytes_ = arena;
  workspaceBytes_ = workspace;
  ++generation_;
  return {};
}

CudaExecutable::~CudaExecutable() { forgetGraphs(); }

void CudaExecutable::forgetGraphs() {
  for (const Captured& captured : graphs_) (void)cudaGraphExecDestroy(captured.graph);
  graphs_.clear();
}

Status CudaExecutable::load(const Program& program, SharedArena& arena, const Gpu& gpu) {
  arena_ = &arena;
  gpu_ = gpu;
  stateBytes_ = offsetof(RunState, rows) + std::max<size_t>(failingRows(program), 1) * sizeof(unsigned long long);
  if (Status status = allocateOnDevice(stateBytes_, state_); !status.ok()) return status;
  size_t workspace = 0;
  steps_.reserve(program.ops().size());
  for (uint32_t index = 0; index < program.ops().size(); ++index) {
    const Op& op = program.ops()[index];
    const OpKernels* kernels = kernelsOf(op.code);
    if (kernels == nullptr) {
      return Status::error(ErrorCode::kInternal, std::string("the CUDA device has no kernel of ") + nameOf(op.code));
    }
    Step& step = steps_.emplace_back();
    step.name = nameOf(op.code);
    step.kernels = kernels;
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
    step.call = {step.operands.data(), op.operandCount, op.attributes, index, state(), nullptr};
    if (kernels->workspaceBytes != nullptr) workspace = std::max(workspace, kernels->workspaceBytes(step.call));
  }
  return arena.reserve(program.arenaBytes(), workspace);
}

void CudaExecutable::resolve() {
  if (generation_ == arena_->generation()) return;
  forgetGraphs();
  for (Step& step : steps_) {
    for (size_t i = 0; i < step.operands.size(); ++i) {
      if (step.arenaOffsets[i] != SIZE_MAX) step.operands[i].data = arena_->arena() + step.arenaOffsets[i];
    }
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
