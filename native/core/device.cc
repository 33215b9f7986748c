#include "core/device.h"

namespace quipu {

namespace {

Status isClosed() { return Status::error(ErrorCode::kDisposed, "the device is disposed"); }

Status expectInside(const MappedFile& file, size_t offset, unsigned __int128 bytes) {
  if (offset <= file.readyBytes() && bytes <= file.readyBytes() - offset) return {};
  const std::string count = bytes >> 64 == 0 ? std::to_string(static_cast<uint64_t>(bytes)) : "2⁶⁴ and more";
  return Status::error(ErrorCode::kInternal, "a tensor of " + count + " bytes at " + std::to_string(offset) +
                                                 " leaves the file of " + std::to_string(file.readyBytes()));
}

}  // namespace

LoadedProgram::~LoadedProgram() { device_->forget(*this); }

Status LoadedProgram::load(Backend& backend, Executable*& out) {
  if (executable_ == nullptr) {
    if (Status status = backend.load(*program_, executable_); !status.ok()) return status;
  }
  out = executable_.get();
  return {};
}

Status Device::allocate(size_t bytes, uint32_t indexBound, bool filled, std::shared_ptr<Memory>& out) {
  if (closed()) return isClosed();
  return made(backend_->allocate(bytes, indexBound, filled, out), out);
}

Status Device::place(const std::shared_ptr<const MappedFile>& file, size_t offset, size_t bytes, size_t alignment,
                     std::shared_ptr<Memory>& out) {
  if (closed()) return isClosed();
  if (Status status = expectInside(*file, offset, bytes); !status.ok()) return status;
  return made(backend_->place(file, offset, bytes, alignment, out), out);
}

Status Device::placeMatrix(const std::shared_ptr<const MappedFile>& file, size_t offset, size_t alignment, DType dtype,
                           uint32_t rows, uint32_t columns, std::shared_ptr<Memory>& out) {
  if (closed()) return isClosed();
  const unsigned __int128 bytes = bytesOf(dtype, rows, columns);
  if (Status status = expectInside(*file, offset, bytes); !status.ok()) return status;
  return made(backend_->placeMatrix(file, offset, static_cast<size_t>(bytes), alignment, dtype, rows, columns, out),
              out);
}

Status Device::upload(std::span<const uint8_t> bytes, DType dtype, uint32_t rows, uint32_t columns,
                      std::shared_ptr<Memory>& out) {
  if (closed()) return isClosed();
  if (bytesOf(dtype, rows, columns) != bytes.size()) {
    return Status::error(ErrorCode::kInternal, "a matrix of " + std::to_string(bytes.size()) + " bytes where " +
                                                   std::to_string(rows) + " rows of " + std::to_string(columns) +
                                                   " have another number");
  }
  return made(backend_->upload(bytes, dtype, rows, columns, out), out);
}

Status Device::made(Status status, std::shared_ptr<Memory>& out) {
  if (!status.ok()) return status;
  Memory& memory = *out;
  memory.device_ = shared_from_this();
  if (memory.writable()) stateBytes_.fetch_add(memory.bytes(), std::memory_order_relaxed);
  add(memory_, memory);
  return {};
}

// The lists are linked through what they hold: it takes no memory to be in one, or to leave it.
template <typename Made>
void Device::add(Made*& first, Made& made) {
  const std::lock_guard lock(mutex_);
  made.next_ = first;
  made.link_ = &first;
  if (first != nullptr) first->link_ = &made.next_;
  first = &made;
}

template <typename Made>
void Device::remove(Made& made) {
  const std::lock_guard lock(mutex_);
  *made.link_ = made.next_;
  if (made.next_ != nullptr) made.next_->link_ = made.link_;
}

void Device::forget(Memory& memory) {
  if (closed()) return;
  if (memory.writable()) stateBytes_.fetch_sub(memory.bytes(), std::memory_order_relaxed);
  remove(memory);
}

void Device::forget(LoadedProgram& program) {
  if (closed()) return;
  remove(program);
  if (program.executable_ != nullptr) queue_->retire(std::move(program.executable_));
}

Status Device::load(std::vector<uint32_t> stream, std::vector<std::shared_ptr<Memory>> buffers,
                    std::shared_ptr<LoadedProgram>& out) {
  if (closed()) return isClosed();
  for (const std::shared_ptr<Memory>& buffer : buffers) {
    if (buffer->device() != this)
      return Status::error(ErrorCode::kInternal, "a program with a buffer of another device");
  }
  std::shared_ptr<const Program> program;
  if (Status status = Program::parse(std::move(stream), std::move(buffers), program); !status.ok()) return status;
  out = std::make_shared<LoadedProgram>(shared_from_this(), std::move(program));
  add(programs_, *out);
  return {};
}

void Device::run(std::shared_ptr<Job> job) {
  job->backend = backend_.get();
  queue_->push(std::move(job));
}

void Device::cancel(CancelFlag& flag) {
  if (!closed()) queue_->cancel(flag);
}

void Device::close() {
  if (closed()) return;
  queue_->end(*backend_);
  // No run is left, so that what it has made is reached from this thread alone.
  for (LoadedProgram* program = programs_; program != nullptr; program = program->next_) {
    if (program->executable_ != nullptr) queue_->retire(std::move(program->executable_));
  }
  for (Memory* memory = memory_; memory != nullptr; memory = memory->next_) memory->release();
  programs_ = nullptr;
  memory_ = nullptr;
  stateBytes_.store(0, std::memory_order_relaxed);
  queue_->retire(std::move(backend_));
  queue_.reset();
}

}  // namespace quipu
