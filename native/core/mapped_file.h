// A checkpoint shard in memory: mapped (pages come and go with the page cache) or read whole (--no-mmap, for files that
// others may truncate: a mapped file that shrinks kills the process with SIGBUS).
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "core/buffer.h"
#include "core/error.h"

namespace quipu {

class MappedFile : public std::enable_shared_from_this<MappedFile> {
 public:
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  // `expectedBytes` is the size whose header was checked; another size now is an error.
  static Status open(const std::string& path, size_t expectedBytes, bool map, std::shared_ptr<MappedFile>& out);

  // A view of [offset, offset + bytes), copied only if its start is not aligned to `alignment`.
  Status view(size_t offset, size_t bytes, size_t alignment, std::shared_ptr<Buffer>& out) const;

  size_t bytes() const { return bytes_; }

 private:
  MappedFile(void* data, size_t bytes) : data_(data), bytes_(bytes) {}

  void* data_;
  size_t bytes_;
};

}  // namespace quipu
