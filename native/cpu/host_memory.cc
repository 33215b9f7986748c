#include "cpu/host_memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <string>

#include "core/guard.h"

namespace quipu::cpu {

// Who looks at them again gets them back, as the file stays mapped. (Weights that are packed are read once, and were
// resident beside what they are packed to.) Pages that are only partly the range's go too: one of them may have
// brought in two MiB around it.
void dropPages(const std::byte* data, size_t bytes) {
  const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  const uintptr_t start = reinterpret_cast<uintptr_t>(data) / page * page;
  const uintptr_t end = reinterpret_cast<uintptr_t>(data) + bytes;
  if (bytes > 0) madvise(reinterpret_cast<void*>(start), end - start, MADV_DONTNEED);
}

HostMemory::~HostMemory() { release(); }

void HostMemory::release() {
  if (owner_ == nullptr && data_ != nullptr) {
    allow(data_ + bytes_, kGuardBytes);
    munmap(data_, bytes_ + kGuardBytes);
  }
  if (!writable() && data_ != nullptr && takenBytes() == 0) dropPages(data_, bytes_);
  data_ = nullptr;
  owner_.reset();
}

Status HostMemory::allocate(size_t bytes, uint32_t indexBound, bool filled, std::shared_ptr<HostMemory>& out) {
  std::shared_ptr<HostMemory> made(new HostMemory(nullptr, bytes, indexBound, true, 0, nullptr));
  if (bytes > 0) {
    const size_t whole = bytes + kGuardBytes;
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    void* memory = whole < bytes ? MAP_FAILED : mmap(nullptr, whole, PROT_READ | PROT_WRITE, flags, -1, 0);
    if (memory == MAP_FAILED) {
      return Status::error(ErrorCode::kOutOfMemory, "the system refused " + std::to_string(bytes) + " bytes of memory");
    }
#ifdef MADV_HUGEPAGE
    // Untouched pages of a cache must cost nothing; weights are read 8 % (q4) to 17 % (q8) faster from large pages (two
    // threads of Zen 5, 4.5 and 8.5 bits in DRAM).
    if (bytes >= (size_t{1} << 17)) madvise(memory, bytes, filled ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
#endif
    made->data_ = static_cast<std::byte*>(memory);
    forbid(made->data_ + bytes, kGuardBytes);
  }
  out = std::move(made);
  return {};
}

std::shared_ptr<HostMemory> HostMemory::view(const std::byte* data, size_t bytes, size_t takenBytes,
                                             std::shared_ptr<const void> owner, bool writable) {
  auto* memory = const_cast<std::byte*>(data);  // writable() keeps programs from writing it
  return std::shared_ptr<HostMemory>(new HostMemory(memory, bytes, 0, writable, takenBytes, std::move(owner)));
}

void HostMemory::shrink(size_t bytes) {
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  const size_t kept = (bytes + page - 1) / page * page;
  if (kept == 0 || kept >= bytes_) return;  // memory that nobody needs is destroyed
  allow(data_ + bytes_, kGuardBytes);
  munmap(data_ + kept + kGuardBytes, bytes_ - kept);
  bytes_ = kept;
  forbid(data_ + bytes_, kGuardBytes);
}

}  // namespace quipu::cpu
