#include "cpu/host_memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <string>

namespace quipu::cpu {

HostMemory::~HostMemory() { release(); }

void HostMemory::release() {
  if (writable() && data_ != nullptr) munmap(data_, bytes_);
  data_ = nullptr;
  owner_.reset();
}

Status HostMemory::allocate(size_t bytes, uint32_t indexBound, std::shared_ptr<HostMemory>& out) {
  std::byte* data = nullptr;
  if (bytes > 0) {
    void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) {
      return Status::error(ErrorCode::kOutOfMemory, "the system refused " + std::to_string(bytes) + " bytes of memory");
    }
#ifdef MADV_HUGEPAGE
    if (bytes >= (size_t{1} << 17)) madvise(memory, bytes, MADV_NOHUGEPAGE);  // untouched cache pages must cost nothing
#endif
    data = static_cast<std::byte*>(memory);
  }
  out.reset(new HostMemory(data, bytes, indexBound, 0, nullptr));
  return {};
}

std::shared_ptr<HostMemory> HostMemory::view(const std::byte* data, size_t bytes, size_t takenBytes,
                                             std::shared_ptr<const void> owner) {
  auto* memory = const_cast<std::byte*>(data);  // writable() keeps programs from writing it
  return std::shared_ptr<HostMemory>(new HostMemory(memory, bytes, 0, takenBytes, std::move(owner)));
}

void HostMemory::shrink(size_t bytes) {
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  const size_t kept = (bytes + page - 1) / page * page;
  if (kept == 0 || kept >= bytes_) return;  // memory that nobody needs is destroyed
  munmap(data_ + kept, bytes_ - kept);
  bytes_ = kept;
}

}  // namespace quipu::cpu
