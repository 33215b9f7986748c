// Memory of CPU devices: pages of this process, which kernels address.
#pragma once

#include <cstddef>
#include <memory>

#include "core/memory.h"

namespace quipu::cpu {

class HostMemory final : public Memory {
 public:
  ~HostMemory() override;

  // Zeroed memory, aligned to a page; pages that are never touched cost nothing.
  static Status allocate(size_t bytes, uint32_t indexBound, bool filled, std::shared_ptr<HostMemory>& out);
  // A view whose memory is kept alive by `owner`; `takenBytes` as in Memory. `writable` where nobody else minds.
  static std::shared_ptr<HostMemory> view(const std::byte* data, size_t bytes, size_t takenBytes,
                                          std::shared_ptr<const void> owner, bool writable);

  std::byte* data() const { return data_; }
  // Gives back what is beyond the first `bytes`, to a page. Of memory that was allocated.
  void shrink(size_t bytes);

 private:
  HostMemory(std::byte* data, size_t bytes, uint32_t indexBound, bool writable, size_t takenBytes,
             std::shared_ptr<const void> owner)
      : Memory(bytes, indexBound, writable, takenBytes), data_(data), owner_(std::move(owner)) {}

  void release() override;

  std::byte* data_;
  std::shared_ptr<const void> owner_;  // null where it is allocated
};

// Pages of a mapped file that nobody here needs for now are no longer this process's.
void dropPages(const std::byte* data, size_t bytes);

// Of memory that a CPU device has made.
inline std::byte* addressOf(const Memory& memory) { return static_cast<const HostMemory&>(memory).data(); }

}  // namespace quipu::cpu
