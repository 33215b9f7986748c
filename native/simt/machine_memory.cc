#include "simt/machine_memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "simt/settings.h"

namespace quipu::simt {

namespace {

constexpr size_t kReserved = size_t{16} << 30;

size_t pagesOf(size_t bytes) { return (bytes + kPageBytes - 1) / kPageBytes * kPageBytes; }

std::byte* reserve(size_t bytes) {
  void* base = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (base != MAP_FAILED) return static_cast<std::byte*>(base);
  fprintf(stderr, "simt: the system refuses %zu bytes of addresses\n", bytes);
  exit(2);
}

}  // namespace

MachineMemory::MachineMemory() : region_(reserve(kReserved), kReserved) {}

void* MachineMemory::allocate(int device, size_t bytes) {
  const std::lock_guard lock(mutex_);
  size_t held = 0;
  for (const auto& [offset, allocation] : allocations_) {
    if (allocation.device == device) held += pagesOf(allocation.bytes);
  }
  const size_t pages = pagesOf(bytes);
  if (bytes > kReserved || held + pages > settings().memory) return nullptr;
  // Next fit, a page apart: what was freed is not used again soon, so that a stale pointer points nowhere.
  for (int round = 0; round < 2; ++round) {
    size_t at = round == 0 ? cursor_ : 0;
    for (auto it = allocations_.lower_bound(at); it != allocations_.end(); ++it) {
      if (it->first >= at + pages + kPageBytes) break;
      at = it->first + pagesOf(it->second.bytes) + kPageBytes;
    }
    if (at == 0) at = kPageBytes;
    if (const auto before = allocations_.lower_bound(at); before != allocations_.begin()) {
      const auto& [offset, allocation] = *std::prev(before);
      at = std::max(at, offset + pagesOf(allocation.bytes) + kPageBytes);
    }
    const auto next = allocations_.lower_bound(at);
    if (at + pages > kReserved || (next != allocations_.end() && next->first < at + pages + kPageBytes)) continue;
    allocations_[at] = {bytes, device};
    cursor_ = at + pages + kPageBytes;
    region_.setValid(at, bytes, true);
    memset(region_.base() + at, 0xff, bytes);
    return region_.base() + at;
  }
  return nullptr;
}

void MachineMemory::releaseLocked(std::map<size_t, Allocation>::iterator it) {
  const auto [offset, allocation] = *it;
  const size_t pages = pagesOf(allocation.bytes);
  region_.forget(offset, pages);
  madvise(region_.base() + offset, pages, MADV_DONTNEED);
  allocations_.erase(it);
}

bool MachineMemory::release(void* address) {
  const std::lock_guard lock(mutex_);
  const auto it = allocations_.find(region_.offsetOf(address));
  if (it == allocations_.end()) return false;
  releaseLocked(it);
  return true;
}

void MachineMemory::reset() {
  const std::lock_guard lock(mutex_);
  while (!allocations_.empty()) releaseLocked(allocations_.begin());
}

size_t MachineMemory::used(int device) const {
  const std::lock_guard lock(mutex_);
  size_t sum = 0;
  for (const auto& [offset, allocation] : allocations_) {
    if (allocation.device == device) sum += pagesOf(allocation.bytes);
  }
  return sum;
}

bool MachineMemory::holds(const void* address, size_t bytes) const {
  const std::lock_guard lock(mutex_);
  if (!region_.contains(address)) return false;
  const size_t offset = region_.offsetOf(address);
  auto it = allocations_.upper_bound(offset);
  if (it == allocations_.begin()) return false;
  --it;
  return offset - it->first <= it->second.bytes && bytes <= it->second.bytes - (offset - it->first);
}

std::span<const std::byte> MachineMemory::around(const void* address) const {
  const std::lock_guard lock(mutex_);
  if (!region_.contains(address)) return {};
  const size_t offset = region_.offsetOf(address);
  auto it = allocations_.upper_bound(offset);
  if (it == allocations_.begin()) return {};
  --it;
  if (offset - it->first >= it->second.bytes) return {};
  return {region_.base() + it->first, it->second.bytes};
}

std::string MachineMemory::describe(const void* address) const {
  const std::lock_guard lock(mutex_);
  const size_t offset = region_.offsetOf(address);
  auto it = allocations_.upper_bound(offset);
  if (it == allocations_.begin()) return "before all allocations";
  --it;
  return "at byte " + std::to_string(offset - it->first) + " of an allocation of " + std::to_string(it->second.bytes) +
         " bytes";
}

void MachineMemory::written(const void* address, size_t bytes) {
  region_.setWritten(region_.offsetOf(address), bytes, true);
}

MachineMemory& machineMemory() {
  static auto* memory = new MachineMemory();  // the device's thread may outlive static objects
  return *memory;
}

}  // namespace quipu::simt
