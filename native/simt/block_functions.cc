// The block's shared memory, and programmatic dependent launch.
#include <algorithm>
#include <cstring>
#include <string>

#include "simt/gpu.h"
#include "simt/grid.h"
#include "simt/report.h"
#include "simt/scheduler.h"
#include "simt/settings.h"

namespace quipu::simt {

namespace {

constexpr size_t kGap = 128;  // between arrays: it belongs to nothing
constexpr size_t kStaticLimit = 48 * 1024;

size_t aligned(size_t offset, size_t alignment) { return (offset + alignment - 1) / alignment * alignment; }

}  // namespace

std::byte* dynamicShared() { return current->block->shared.region.base(); }

void* staticShared(const void* key, size_t bytes, size_t alignment) {
  const InLibrary inside;
  SharedMemory& shared = current->block->shared;
  for (const SharedMemory::Array& array : shared.arrays) {
    if (array.key == key) return shared.region.base() + array.offset;
  }
  const size_t dynamic = current->block->grid->launch->dynamicShared;
  shared.staticBytes = aligned(shared.staticBytes, alignment) + bytes;
  const size_t offset = aligned(shared.used + kGap, std::max<size_t>(alignment, 16));
  if (shared.staticBytes > kStaticLimit || shared.staticBytes + dynamic > sharedLimit() ||
      offset + bytes + kGap > shared.region.bytes()) {
    fail(finding::kResources,
         std::to_string(shared.staticBytes) + " bytes of arrays beside " + std::to_string(dynamic) +
             " bytes of the launch; there are " + std::to_string(kStaticLimit) + " for arrays and " +
             std::to_string(sharedLimit()) + " for both",
         placeOf(siteOf(__builtin_return_address(0))));
  }
  shared.arrays.push_back({key, offset, bytes});
  shared.region.setValid(offset, bytes, true);
  memset(shared.region.base() + offset, 0xff, bytes);
  shared.used = offset + bytes;
  return shared.region.base() + offset;
}

void waitForPredecessor() { Scheduler::waitForPredecessor(); }
void letSuccessorStart() { Scheduler::letSuccessorStart(); }

}  // namespace quipu::simt
