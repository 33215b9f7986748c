#include "core/memory.h"

#include <cstring>
#include <string>

#include "core/device.h"

namespace quipu {

namespace {

Status outside(const char* what, size_t bytes, size_t offset, size_t whole) {
  return Status::error(ErrorCode::kInternal, std::string(what) + " of " + std::to_string(bytes) + " bytes at " +
                                                 std::to_string(offset) + " leaves the buffer of " +
                                                 std::to_string(whole));
}

class AbsentMemory final : public Memory {
 public:
  AbsentMemory(size_t bytes, uint32_t indexBound, bool writable) : Memory(bytes, indexBound, writable, 0) {}

 private:
  void release() override {}
};

}  // namespace

std::shared_ptr<Memory> Memory::absent(size_t bytes, uint32_t indexBound, bool writable) {
  return std::make_shared<AbsentMemory>(bytes, indexBound, writable);
}

Memory::~Memory() {
  if (device_ != nullptr) device_->forget(*this);
}

Status Memory::checkRead(size_t offset, size_t bytes) const {
  if (offset > bytes_ || bytes > bytes_ - offset) return outside("read", bytes, offset, bytes_);
  return {};
}

Status Memory::checkWrite(size_t offset, const void* source, size_t bytes) const {
  if (!writable_) return Status::error(ErrorCode::kInternal, "write to a read-only buffer");
  if (offset > bytes_ || bytes > bytes_ - offset) return outside("write", bytes, offset, bytes_);
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
