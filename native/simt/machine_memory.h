// The memory of the emulated devices: one range of addresses that is reserved at the first use and filled as it is
// touched. What is not written yet has all bits set (NaN, index −1).
#pragma once

#include <cstddef>
#include <map>
#include <mutex>
#include <span>
#include <string>

#include "simt/memory.h"

namespace quipu::simt {

class MachineMemory {
 public:
  MachineMemory();

  // On any thread. Aligned to a page; null where `device` has no such memory left.
  void* allocate(int device, size_t bytes);
  // False where it is no allocation's address.
  bool release(void* address);
  size_t used(int device) const;
  // Whether the range lies in one allocation.
  bool holds(const void* address, size_t bytes) const;
  bool contains(const void* address) const { return region_.contains(address); }
  // The allocation that an address is in; empty where it is in none.
  std::span<const std::byte> around(const void* address) const;
  // "at byte 8 of an allocation of 64 bytes".
  std::string describe(const void* address) const;
  // What the host, or a copy, writes.
  void written(const void* address, size_t bytes);
  // Frees all.
  void reset();

  // On the device's thread; allocations do not change where it reads.
  Region& region() { return region_; }

 private:
  struct Allocation {
    size_t bytes;
    int device;
  };

  void releaseLocked(std::map<size_t, Allocation>::iterator it);

  mutable std::mutex mutex_;
  Region region_;
  std::map<size_t, Allocation> allocations_;  // by offset
  size_t cursor_ = 0;                         // where the next one is looked for
};

MachineMemory& machineMemory();

}  // namespace quipu::simt
