#include "core/buffer.h"

#include <sys/mman.h>

#include <cstring>
#include <string>

#include "core/guard.h"

namespace quipu {

Buffer::Buffer(std::byte* data, size_t bytes, uint32_t indexBound, std::shared_ptr<const void> owner)
    : data_(data), bytes_(bytes), indexBound_(indexBound), owner_(std::move(owner)) {}

Buffer::~Buffer() {
  if (owner_ != nullptr || bytes_ == 0) return;
  allow(data_ + bytes_, kGuardBytes);
  munmap(data_, bytes_ + kGuardBytes);
}

Status Buffer::allocate(size_t bytes, uint32_t indexBound, std::shared_ptr<Buffer>& out) {
  std::byte* data = nullptr;
  if (bytes > 0) {
    const size_t whole = bytes + kGuardBytes;
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    void* memory = whole < bytes ? MAP_FAILED : mmap(nullptr, whole, PROT_READ | PROT_WRITE, flags, -1, 0);
    if (memory == MAP_FAILED) {
      return Status::error(ErrorCode::kOutOfMemory, "the system refused " + std::to_string(bytes) + " bytes of memory");
    }
#ifdef MADV_HUGEPAGE
    if (bytes >= (size_t{1} << 17)) madvise(memory, bytes, MADV_NOHUGEPAGE);  // untouched cache pages must cost nothing
#endif
    data = static_cast<std::byte*>(memory);
    forbid(data + bytes, kGuardBytes);
  }
  out.reset(new Buffer(data, bytes, indexBound, nullptr));
  return {};
}

std::shared_ptr<Buffer> Buffer::view(const void* data, size_t bytes, std::shared_ptr<const void> owner) {
  auto* memory = static_cast<std::byte*>(const_cast<void*>(data));  // writable() keeps programs from writing it
  return std::shared_ptr<Buffer>(new Buffer(memory, bytes, 0, std::move(owner)));
}

Status Buffer::checkWrite(size_t offset, const void* source, size_t bytes) const {
  if (!writable()) return Status::error(ErrorCode::kInternal, "write to a read-only buffer");
  if (offset > bytes_ || bytes > bytes_ - offset) {
    return Status::error(ErrorCode::kInternal, "write of " + std::to_string(bytes) + " bytes at " +
                                                   std::to_string(offset) + " leaves the buffer of " +
                                                   std::to_string(bytes_));
  }
  if (indexBound_ == 0) return {};
  if (offset % 4 != 0 || bytes % 4 != 0)
    return Status::error(ErrorCode::kInternal, "index writes are whole 32-bit words");
  for (size_t i = 0; i < bytes; i += 4) {
    int32_t index;
    memcpy(&index, static_cast<const std::byte*>(source) + i, 4);
    if (index < -1 || (index >= 0 && static_cast<uint32_t>(index) >= indexBound_)) {
      return Status::error(ErrorCode::kInternal, "index " + std::to_string(index) + " at word " +
                                                     std::to_string((offset + i) / 4) + " is outside [-1, " +
                                                     std::to_string(indexBound_) + ")");
    }
  }
  return {};
}

}  // namespace quipu
