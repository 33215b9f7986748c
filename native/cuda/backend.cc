#include "cuda/backend.h"

#include <algorithm>
#include <cstring>

#include "cuda/gpus.h"
#include "cuda/kernels/kernels.h"
#include "cuda/kernels/repack.h"
#include "cuda/kernels/scaled_half.h"

namespace quipu::cuda {

namespace {

constexpr size_t kUploadBytes = size_t(8) << 20;

size_t wholeLines(size_t bytes) { return (bytes + 63) / 64 * 64; }

}  // namespace

Status CudaBackend::open(uint32_t index, std::unique_ptr<Backend>& out) {
  if (Status status = findGpu(index); !status.ok()) return status;
  std::unique_ptr<CudaBackend> backend(new CudaBackend(index));
  if (Status status = backend->start(); !status.ok()) return status;
  out = std::move(backend);
  return {};
}

Status CudaBackend::start() {
  cudaError_t error = cudaSetDevice(static_cast<int>(index_));
  if (error == cudaSuccess) error = cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking);
  if (error == cudaSuccess) error = cudaStreamCreateWithFlags(&uploads_, cudaStreamNonBlocking);
  for (cudaEvent_t* event : {&flights_[0].done, &flights_[1].done, &uploaded_[0], &uploaded_[1]}) {
    if (error == cudaSuccess) error = cudaEventCreateWithFlags(event, cudaEventDisableTiming);
  }
  int processors = 0, sharedBytes = 0, major = 0, minor = 0;
  const auto ask = [&](int& answer, cudaDeviceAttr attribute) {
    if (error == cudaSuccess) error = cudaDeviceGetAttribute(&answer, attribute, static_cast<int>(index_));
  };
  ask(processors, cudaDevAttrMultiProcessorCount);
  ask(sharedBytes, cudaDevAttrMaxSharedMemoryPerBlockOptin);
  gpu_ = {static_cast<uint32_t>(std::max(processors, 1)), static_cast<size_t>(std::max(sharedBytes, 0))};
  ask(major, cudaDevAttrComputeCapabilityMajor);
  ask(minor, cudaDevAttrComputeCapabilityMinor);
  if (error == cudaSuccess) error = findKernels();
  if (error == cudaErrorNoKernelImageForDevice || error == cudaErrorInvalidDeviceFunction) {
    (void)cudaGetLastError();
    return Status::error(ErrorCode::kDeviceUnavailable,
                         "this build has no kernels for a GPU of compute capability " + std::to_string(major) + "." +
                             std::to_string(minor) +
                             ": 8.0 and newer can have them (npm run build:cuda -- 80 … in the package's folder)");
  }
  if (error != cudaSuccess) {
    return Status::error(ErrorCode::kDeviceUnavailable,
                         std::string("the GPU cannot be used: ") + cudaGetErrorString(error));
  }
  return allocatePinned(kUploadBytes, upload_);
}

CudaBackend::~CudaBackend() {
  (void)cudaSetDevice(static_cast<int>(index_));
  if (stream_ != nullptr) (void)cudaStreamSynchronize(stream_);
  for (const cudaEvent_t event : {flights_[0].done, flights_[1].done, uploaded_[0], uploaded_[1]}) {
    if (event != nullptr) (void)cudaEventDestroy(event);
  }
  if (stream_ != nullptr) (void)cudaStreamDestroy(stream_);
  if (uploads_ != nullptr) (void)cudaStreamDestroy(uploads_);
}

Status CudaBackend::allocate(size_t bytes, uint32_t indexBound, bool, std::shared_ptr<Memory>& out) {
  const std::lock_guard lock(uploading_);
  (void)cudaSetDevice(static_cast<int>(index_));
  DeviceBytes data;
  if (Status status = allocateOnDevice(bytes, data); !status.ok()) return status;
  cudaError_t error = cudaMemsetAsync(data.get(), 0, bytes, uploads_);
  if (error == cudaSuccess) error = cudaStreamSynchronize(uploads_);
  if (error != cudaSuccess) return statusOf(error, "memory was not zeroed");
  out = std::make_shared<CudaMemory>(std::move(data), bytes, indexBound, true);
  return {};
}

// Through pinned memory, half of which is filled while the other is on its way.
Status CudaBackend::copyUp(const std::byte* from, size_t bytes, std::byte* to) {
  constexpr size_t kHalf = kUploadBytes / 2;
  cudaError_t error = cudaSuccess;
  for (size_t done = 0, part = 0; done < bytes && error == cudaSuccess; ++part) {
    const size_t size = std::min(bytes - done, kHalf);
    std::byte* through = upload_.get() + part % 2 * kHalf;
    if (part >= 2) error = cudaEventSynchronize(uploaded_[part % 2]);
    std::copy_n(from + done, size, through);
    if (error == cudaSuccess) error = cudaMemcpyAsync(to + done, through, size, cudaMemcpyHostToDevice, uploads_);
    if (error == cudaSuccess) error = cudaEventRecord(uploaded_[part % 2], uploads_);
    done += size;
  }
  if (error == cudaSuccess) error = cudaStreamSynchronize(uploads_);
  return statusOf(error, "weights were not copied to the device");
}

Status CudaBackend::place(const std::shared_ptr<const MappedFile>& file, size_t offset, size_t bytes, size_t,
                          std::shared_ptr<Memory>& out) {
  const std::lock_guard lock(uploading_);
  (void)cudaSetDevice(static_cast<int>(index_));
  DeviceBytes data;
  if (Status status = allocateOnDevice(bytes, data); !status.ok()) return status;
  if (Status status = copyUp(file->data() + offset, bytes, data.get()); !status.ok()) return status;
  out = std::make_shared<CudaMemory>(std::move(data), bytes, 0, false);
  return {};
}

Status CudaBackend::placeMatrix(const std::shared_ptr<const MappedFile>& file, size_t offset, size_t bytes,
                                size_t alignment, DType dtype, uint32_t rows, uint32_t columns,
                                std::shared_ptr<Memory>& out) {
  if (dtype != DType::kBF16) return place(file, offset, bytes, alignment, out);
  const std::lock_guard lock(uploading_);
  (void)cudaSetDevice(static_cast<int>(index_));
  const size_t scalesAt = wholeLines(bytes);
  DeviceBytes data;
  if (Status status = allocateOnDevice(plus(scalesAt, times(rows, sizeof(float))), data); !status.ok()) return status;
  if (Status status = copyUp(file->data() + offset, bytes, data.get()); !status.ok()) return status;
  auto* scales = reinterpret_cast<float*>(data.get() + scalesAt);
  cudaError_t error = toScaledHalf(data.get(), rows, columns, scales, uploads_);
  if (error == cudaSuccess) error = cudaStreamSynchronize(uploads_);
  if (error != cudaSuccess) return statusOf(error, "weights were not laid out on the device");
  out = std::make_shared<CudaMemory>(std::move(data), bytes, 0, false, ScaledHalf{scales, columns});
  return {};
}

Status CudaBackend::upload(std::span<const uint8_t> bytes, DType dtype, uint32_t rows, uint32_t columns,
                           std::shared_ptr<Memory>& out) {
  const std::lock_guard lock(uploading_);
  (void)cudaSetDevice(static_cast<int>(index_));
  DeviceBytes given, data;
  if (Status status = allocateOnDevice(bytes.size(), given); !status.ok()) return status;
  if (Status status = allocateOnDevice(repackedBytes(dtype, rows, columns), data); !status.ok()) return status;
  if (Status status = copyUp(reinterpret_cast<const std::byte*>(bytes.data()), bytes.size(), given.get());
      !status.ok()) {
    return status;
  }
  cudaError_t error = repack(dtype, given.get(), rows, columns, data.get(), uploads_);
  if (error == cudaSuccess) error = cudaStreamSynchronize(uploads_);
  if (error != cudaSuccess) return statusOf(error, "weights were not laid out on the device");
  out = std::make_shared<CudaMemory>(std::move(data), bytes.size(), 0, false);
  return {};
}

size_t CudaBackend::freeBytes() const {
  size_t left = 0, all = 0;
  (void)cudaSetDevice(static_cast<int>(index_));
  return cudaMemGetInfo(&left, &all) == cudaSuccess ? left : 0;
}

Status CudaBackend::load(const Program& program, std::unique_ptr<Executable>& out) {
  (void)cudaSetDevice(static_cast<int>(index_));
  auto executable = std::make_unique<CudaExecutable>();
  if (Status status = executable->load(program, arena_, gpu_); !status.ok()) return status;
  out = std::move(executable);
  return {};
}

// The arena may move, or be gone where it was to grow and was refused: what is in flight has to end first.
Status CudaBackend::makeRoom(const ArenaSizes& sizes) {
  if (arena_.holds(sizes)) return {};
  if (const cudaError_t error = cudaStreamSynchronize(stream_); error != cudaSuccess) {
    return statusOf(error, "a run on the device failed");
  }
  Status status = arena_.reserve(sizes);
  arenaBytes_.store(arena_.bytes(), std::memory_order_relaxed);
  return status;
}

Ticket CudaBackend::submit(const Submission& submission) {
  Flight& flight = flights_[submitted_ % kFlights];
  flight.submission.emplace(submission);
  flight.status = begin(flight);
  return submitted_++;
}

Status CudaBackend::begin(Flight& flight) {
  (void)cudaSetDevice(static_cast<int>(index_));
  const Submission& submission = *flight.submission;
  auto* executable = static_cast<CudaExecutable*>(submission.executable);
  if (executable != nullptr) {
    if (Status status = makeRoom(executable->sizes()); !status.ok()) return status;
  }
  flight.stateBytes = executable == nullptr ? 0 : executable->sizes().state;
  size_t bytes = wholeLines(sizeof(RunState));
  for (const MemoryWrite& write : submission.writes) bytes += wholeLines(write.data.size());
  flight.readsAt = bytes;
  bytes += wholeLines(flight.stateBytes);
  for (const MemoryRead& read : submission.reads) bytes += wholeLines(read.data.size());
  if (bytes > flight.stagingBytes) {
    PinnedBytes grown;
    if (Status status = allocatePinned(bytes * 2, grown); !status.ok()) return status;
    flight.staging = std::move(grown);
    flight.stagingBytes = bytes * 2;
  }
  std::byte* at = flight.staging.get() + wholeLines(sizeof(RunState));
  cudaError_t error = cudaSuccess;
  const auto copy = [&](void* to, const void* from, size_t size, cudaMemcpyKind kind) {
    if (error == cudaSuccess && size > 0) error = cudaMemcpyAsync(to, from, size, kind, stream_);
  };
  for (const MemoryWrite& write : submission.writes) {
    std::copy(write.data.begin(), write.data.end(), at);
    copy(addressOf(*write.memory) + write.offset, at, write.data.size(), cudaMemcpyHostToDevice);
    at += wholeLines(write.data.size());
  }
  if (executable != nullptr) {
    const RunState begins = {RunState::kNone, submission.byRow ? 1u : 0u, 0, {0}};
    memcpy(flight.staging.get(), &begins, sizeof begins);
    copy(arena_.state(), flight.staging.get(), offsetof(RunState, rows), cudaMemcpyHostToDevice);
    if (error != cudaSuccess) return statusOf(error, "a run was not begun");
    if (Status status = executable->enqueue(submission.counts, stream_); !status.ok()) return status;
    copy(at, arena_.state(), flight.stateBytes, cudaMemcpyDeviceToHost);
  }
  at += wholeLines(flight.stateBytes);
  for (const MemoryRead& read : submission.reads) {
    copy(at, addressOf(*read.memory) + read.offset, read.data.size(), cudaMemcpyDeviceToHost);
    at += wholeLines(read.data.size());
  }
  if (error == cudaSuccess) error = cudaEventRecord(flight.done, stream_);
  return statusOf(error, "a run was not begun");
}

// The queue waits for the oldest.
Outcome CudaBackend::wait(Ticket) { return end(flights_[ended_++ % kFlights]); }

Outcome CudaBackend::end(Flight& flight) {
  Outcome outcome;
  outcome.status = std::move(flight.status);
  if (!outcome.status.ok()) {
    (void)cudaStreamSynchronize(stream_);  // a part of it may be on its way
    return outcome;
  }
  if (const cudaError_t error = cudaEventSynchronize(flight.done); error != cudaSuccess) {
    outcome.status = statusOf(error, "a run on the device failed");
    return outcome;
  }
  const Submission& submission = *flight.submission;
  if (submission.cancelled) {
    outcome.status = Status::error(ErrorCode::kAborted, "the run was cancelled");
    return outcome;
  }
  const std::byte* at = flight.staging.get() + flight.readsAt;
  if (flight.stateBytes > 0) {
    RunState left;
    memcpy(&left, at, offsetof(RunState, rows));
    if (left.failure != RunState::kNone) {
      outcome.failure = left.failure;
      return outcome;
    }
    for (uint32_t i = 0; i < left.failed; ++i) {
      uint64_t word;
      memcpy(&word, at + offsetof(RunState, rows) + i * sizeof word, sizeof word);
      outcome.rows.push_back(word);
    }
    std::sort(outcome.rows.begin(), outcome.rows.end(),
              [](uint64_t a, uint64_t b) { return failureOf(a).row < failureOf(b).row; });
  }
  at += wholeLines(flight.stateBytes);
  for (MemoryRead& read : submission.reads) {
    std::copy_n(at, read.data.size(), read.data.begin());
    at += wholeLines(read.data.size());
  }
  return outcome;
}

}  // namespace quipu::cuda
