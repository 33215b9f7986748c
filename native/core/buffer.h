// A range of memory that tensors lie in: allocated (zeroed, written by the device) or a read-only view of a mapped
// file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "core/error.h"

namespace quipu {

inline constexpr size_t kAlignment = 64;

class Buffer {
 public:
  ~Buffer();
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  // Zeroed memory, aligned to a page; pages that are never touched cost nothing. `indexBound` > 0 makes it an index
  // buffer: i32 contents that host writes keep in [−1, indexBound).
  static Status allocate(size_t bytes, uint32_t indexBound, std::shared_ptr<Buffer>& out);
  // A read-only view whose memory is kept alive by `owner`.
  static std::shared_ptr<Buffer> view(const void* data, size_t bytes, std::shared_ptr<const void> owner);

  std::byte* data() const { return data_; }
  size_t bytes() const { return bytes_; }
  uint32_t indexBound() const { return indexBound_; }
  bool writable() const { return owner_ == nullptr; }

  // Whether `bytes` of `source` may be written at `offset`: inside, writable, and inside the index bound.
  Status checkWrite(size_t offset, const void* source, size_t bytes) const;

 private:
  Buffer(std::byte* data, size_t bytes, uint32_t indexBound, std::shared_ptr<const void> owner);

  std::byte* data_;
  size_t bytes_;
  uint32_t indexBound_;
  std::shared_ptr<const void> owner_;
};

}  // namespace quipu
