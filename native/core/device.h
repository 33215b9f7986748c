// A device that is open: a backend, and the queue that its runs go through. Memory and programs are made by it, belong
// to it and are given to no other.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "core/backend.h"
#include "core/run_queue.h"

namespace quipu {

// A program of a device, with what its backend has made of it.
class LoadedProgram {
 public:
  LoadedProgram(std::shared_ptr<Device> device, std::shared_ptr<const Program> program)
      : device_(std::move(device)), program_(std::move(program)) {}
  ~LoadedProgram();
  LoadedProgram(const LoadedProgram&) = delete;
  LoadedProgram& operator=(const LoadedProgram&) = delete;

  const Program& program() const { return *program_; }
  const Device* device() const { return device_.get(); }

  // The executable, made for the first run: on the queue's thread, as what it needs (an arena) is that of the runs too.
  Status load(Backend& backend, Executable*& out);

 private:
  friend class Device;
  const std::shared_ptr<Device> device_;
  const std::shared_ptr<const Program> program_;
  std::unique_ptr<Executable> executable_;
  LoadedProgram *next_ = nullptr, **link_ = nullptr;  // in the device's list
};

// All calls are made on one thread, that of its JavaScript, unless they say otherwise.
class Device : public std::enable_shared_from_this<Device> {
 public:
  // Opens the device of this module, with the kernels of that name and up to `threads` threads. Each module has its
  // own.
  static Status open(const std::string& target, uint32_t threads, std::shared_ptr<Device>& out);

  // Bytes that runs of `program` take of a device that is opened so, beside the program's own memory, by their kinds: a
  // device has as much of each as the program that wants most of it. None need be open, or be there. On any thread, and
  // of programs with memory that is absent. Each module but the reference's has its own.
  static Status workspaceOf(const std::string& target, uint32_t threads, const Program& program,
                            std::vector<size_t>& parts);

  Device(std::shared_ptr<RunQueue> queue, std::unique_ptr<Backend> backend, uint32_t threads)
      : queue_(std::move(queue)), backend_(std::move(backend)), threads_(threads) {}

  uint32_t threads() const { return threads_; }
  bool closed() const { return queue_ == nullptr; }
  // Bytes of memory that allocate() has made and that is not gone yet.
  size_t stateBytes() const { return stateBytes_.load(std::memory_order_relaxed); }
  size_t workspaceBytes() const { return closed() ? 0 : backend_->workspaceBytes(); }
  size_t freeBytes() const { return closed() ? 0 : backend_->freeBytes(); }
  uint32_t packedLayout() const { return closed() ? 0 : backend_->packedLayout(); }

  // These are Backend's, and ERR_DISPOSED when the device is closed.
  Status allocate(size_t bytes, uint32_t indexBound, bool filled, std::shared_ptr<Memory>& out);
  Status place(const std::shared_ptr<const MappedFile>& file, size_t offset, size_t bytes, size_t alignment,
               std::shared_ptr<Memory>& out);
  Status placeMatrix(const std::shared_ptr<const MappedFile>& file, size_t offset, size_t alignment, DType dtype,
                     uint32_t rows, uint32_t columns, std::shared_ptr<Memory>& out);
  Status upload(std::span<const uint8_t> bytes, DType dtype, uint32_t rows, uint32_t columns,
                std::shared_ptr<Memory>& out);
  // Checks a program once; see Program::parse.
  Status load(std::vector<uint32_t> stream, std::vector<std::shared_ptr<Memory>> buffers,
              std::shared_ptr<LoadedProgram>& out);

  // Queues a job, all of whose parts are this device's. Not when it is closed.
  void run(std::shared_ptr<Job> job);
  void cancel(CancelFlag& flag);
  // Ends its jobs and gives back all that is its own: backend, executables, memory. The last device of a shared queue
  // ends the queue's thread.
  void close();

 private:
  friend class Memory;
  friend class LoadedProgram;
  Status made(Status status, std::shared_ptr<Memory>& out);
  template <typename Made>
  void add(Made*& first, Made& made);
  template <typename Made>
  void remove(Made& made);
  // On the queue's thread too, as long as the device is open.
  void forget(Memory& memory);
  void forget(LoadedProgram& program);

  std::shared_ptr<RunQueue> queue_;  // null when it is closed
  std::unique_ptr<Backend> backend_;
  const uint32_t threads_;
  std::mutex mutex_;  // of what it has made
  Memory* memory_ = nullptr;
  LoadedProgram* programs_ = nullptr;
  std::atomic<size_t> stateBytes_{0};
};

}  // namespace quipu
