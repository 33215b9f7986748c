// Memory of a device: a range that tensors lie in, zeroed and writable or a read-only view of a file's contents. Where
// it is, and whether the host can address it, is its backend's alone to know.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "core/error.h"

namespace quipu {

inline constexpr size_t kAlignment = 64;

class Device;

class Memory {
 public:
  virtual ~Memory();  // on any thread
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  size_t bytes() const { return bytes_; }
  // > 0: i32 contents that host writes and ops keep in [−1, indexBound).
  uint32_t indexBound() const { return indexBound_; }
  bool writable() const { return writable_; }
  // Bytes of the host's memory that are taken for sure: none where the pages are a file's in the page cache, or come as
  // they are touched.
  size_t takenBytes() const { return takenBytes_; }
  // The device that made it, and to which alone it may be given.
  const Device* device() const { return device_.get(); }

  // Memory that is not there, of so many bytes: for a program that is looked at and never run. It is no device's, so
  // that none takes such a program.
  static std::shared_ptr<Memory> absent(size_t bytes, uint32_t indexBound, bool writable);

  // Whether `bytes` of `source` may be written at `offset`: inside, writable, and inside the index bound.
  Status checkWrite(size_t offset, const void* source, size_t bytes) const;
  // Whether `bytes` at `offset` are inside.
  Status checkRead(size_t offset, size_t bytes) const;

 protected:
  Memory(size_t bytes, uint32_t indexBound, bool writable, size_t takenBytes)
      : bytes_(bytes), indexBound_(indexBound), writable_(writable), takenBytes_(takenBytes) {}

  // Gives back all that it holds, as its device is closed: nobody uses it any more.
  virtual void release() = 0;

  size_t bytes_;

 private:
  friend class Device;

  const uint32_t indexBound_;
  const bool writable_;
  const size_t takenBytes_;
  std::shared_ptr<Device> device_;
  Memory *next_ = nullptr, **link_ = nullptr;  // in the device's list
};

}  // namespace quipu
