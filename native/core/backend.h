// What a device is to the rest of the native code: it owns memory, makes programs ready to run and runs them.
//
// Submissions are done in the order in which they are made. A backend may do the work inside submit(), as the CPU does,
// or return while the device is at it and have several in flight.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "core/error.h"
#include "core/failure.h"
#include "core/mapped_file.h"
#include "core/memory.h"
#include "core/program.h"

namespace quipu {

struct MemoryWrite {
  std::shared_ptr<Memory> memory;
  size_t offset;
  std::vector<std::byte> data;  // already checked with Memory::checkWrite
};

struct MemoryRead {
  std::shared_ptr<Memory> memory;
  size_t offset;
  std::vector<std::byte> data;  // filled by the run; inside, by Memory::checkRead
};

// A program made ready: what its backend prepares once and uses in every run. It belongs to the program, and is
// destroyed on the queue's thread before its backend is.
class Executable {
 public:
  virtual ~Executable() = default;

 private:
  friend class RunQueue;
  std::unique_ptr<Executable> next_;  // in the queue's list of those to be destroyed
};

// One run: writes, the program (null: transfers alone), reads. All of it outlives the submission.
struct Submission {
  Executable* executable;
  RowCounts counts;  // that the program fits
  std::span<const MemoryWrite> writes;
  std::span<MemoryRead> reads;
  const std::atomic<bool>& cancelled;
  bool byRow;  // rows that fail leave the others alone
};

// How a submission ended. A run that fails fills no reads.
struct Outcome {
  Status status;
  uint64_t failure = 0;             // the first one that ended the run (core/failure.h), where a kernel had one
  std::vector<uint64_t> rows = {};  // those that failed alone, in ascending order of rows
};

using Ticket = uint64_t;

class Backend {
 public:
  virtual ~Backend() = default;

  // On any thread.
  // Zeroed memory, aligned to kAlignment. What is never touched should cost nothing, unless all of it will be `filled`.
  virtual Status allocate(size_t bytes, uint32_t indexBound, bool filled, std::shared_ptr<Memory>& out) = 0;
  // Memory with the contents of a file's range, which is inside it, at an address of `alignment`: the file's own pages
  // where the device can use them, else a copy. Read-only, but for the pages of a file that is being made.
  virtual Status place(const std::shared_ptr<const MappedFile>& file, size_t offset, size_t bytes, size_t alignment,
                       std::shared_ptr<Memory>& out) = 0;
  // The same of a matrix [rows, columns] of `dtype`, which a device may lay out as it wants it.
  virtual Status placeMatrix(const std::shared_ptr<const MappedFile>& file, size_t offset, size_t bytes,
                             size_t alignment, DType, uint32_t, uint32_t, std::shared_ptr<Memory>& out) {
    return place(file, offset, bytes, alignment, out);
  }
  // Read-only memory with a packed matrix [rows, columns] of `dtype`, given as the CPU packs it (bytesOf so many), laid
  // out as this device wants it. Of a backend that does not pack by itself.
  virtual Status upload(std::span<const uint8_t>, DType, uint32_t, uint32_t, std::shared_ptr<Memory>&) {
    return Status::error(ErrorCode::kInternal, "this device packs matrices itself");
  }
  // Bytes of its own memory that are free now; of a device whose memory is the host's, 0.
  virtual size_t freeBytes() const { return 0; }
  // Bytes of arena and workspace held now.
  virtual size_t workspaceBytes() const = 0;
  // How packed weights lie in its memory, told from all that it was before: what one version has packed into a file's
  // pages, another of the same number reads. 0: they are none that a file could keep.
  virtual uint32_t packedLayout() const { return 0; }

  // On the queue's thread, where the backend is destroyed too.
  // Makes `program`, all of whose memory is this backend's, ready to run.
  virtual Status load(const Program& program, std::unique_ptr<Executable>& out) = 0;
  // Begins a run; wait() gives the outcome, once and in the order of the submissions.
  virtual Ticket submit(const Submission& submission) = 0;
  virtual Outcome wait(Ticket ticket) = 0;
  // How many submissions may be in flight: 1 where submit() does the work.
  virtual uint32_t inFlight() const { return 1; }

 private:
  friend class RunQueue;
  std::unique_ptr<Backend> next_;  // in the queue's list of those to be destroyed
};

}  // namespace quipu
