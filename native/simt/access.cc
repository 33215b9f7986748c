#include "simt/access.h"

#include <link.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "simt/grid.h"
#include "simt/machine_memory.h"
#include "simt/report.h"
#include "simt/scheduler.h"
#include "simt/settings.h"

namespace quipu::simt {

namespace {

// Whether a kernel may read it as a constant: code and data of this module.
bool isConstant(const void* address) {
  struct Range {
    uintptr_t own, low, high;
  };
  static const Range module = [] {
    Range range = {reinterpret_cast<uintptr_t>(&isConstant), 0, 0};
    dl_iterate_phdr(
        [](dl_phdr_info* info, size_t, void* data) {
          auto& r = *static_cast<Range*>(data);
          uintptr_t low = UINTPTR_MAX, high = 0;
          for (int i = 0; i < info->dlpi_phnum; ++i) {
            const auto& segment = info->dlpi_phdr[i];
            if (segment.p_type != PT_LOAD) continue;
            low = std::min<uintptr_t>(low, info->dlpi_addr + segment.p_vaddr);
            high = std::max<uintptr_t>(high, info->dlpi_addr + segment.p_vaddr + segment.p_memsz);
          }
          if (r.own < low || r.own >= high) return 0;
          r.low = low;
          r.high = high;
          return 1;
        },
        &range);
    return range;
  }();
  const auto a = reinterpret_cast<uintptr_t>(address);
  return a >= module.low && a < module.high;
}

const char* verb(Access kind) {
  switch (kind) {
    case Access::kRead:
      return "a read";
    case Access::kWrite:
      return "a write";
    case Access::kAtomic:
      return "an atomic";
    case Access::kAtomicRead:
      return "a volatile read";
    default:
      return "a volatile write";
  }
}

std::string describe(Access kind, size_t bytes, const Region& region, bool shared, const void* address) {
  const size_t offset = region.offsetOf(address);
  std::string text = std::string(verb(kind)) + " of " + std::to_string(bytes) + " bytes ";
  if (shared) return text + "at byte " + std::to_string(offset) + " of shared memory";
  return text + machineMemory().describe(address);
}

// The conflict of what `t` does now with an earlier use.
[[noreturn]] void conflict(Order order, const std::string& what, const void* code, const char* earlier, uint32_t site) {
  const std::string place = placeOf(siteOf(code));
  const std::string before = std::string(earlier) + " at " + placeOf(site);
  switch (order) {
    case Order::kRace:
      fail(finding::kRace, what + " that no barrier orders with another thread's", place, before);
    case Order::kCrossBlock:
      fail(finding::kCrossBlock,
           what + " that nothing orders with another block's: fence, then an atomic, there; an atomic here", place,
           before);
    default:
      fail(finding::kPredecessor, what + " that another grid of the stream uses: waitForPredecessor() comes first",
           place, before);
  }
}

bool isAtomic(Access kind) { return kind >= Access::kAtomic; }
bool writes(Access kind) { return kind != Access::kRead && kind != Access::kAtomicRead; }
bool reads(Access kind) { return kind != Access::kWrite && kind != Access::kAtomicWrite; }

void note(Reader& reader, const Thread& t, uint32_t site, bool inShared) {
  const Block& block = *t.block;
  const auto warp = static_cast<uint16_t>(t.index / 32);
  const uint32_t lane = 1u << t.lane;
  if (reader.block == kNoBlock || orderOf(reader, t, inShared) == Order::kBefore) {
    reader = {block.serial, block.epoch, t.warp->stamp, site, lane, warp, Spread::kLanes};
    return;
  }
  if (reader.block != block.serial) {
    reader.spread = Spread::kGrid;
  } else if (reader.spread == Spread::kLanes && reader.warp != warp) {
    reader.spread = Spread::kBlock;
  }
  reader.block = std::max(reader.block, block.serial);
  reader.epoch = block.epoch;
  reader.stamp = t.warp->stamp;
  reader.site = site;
  reader.lanes |= lane;
}

struct Deed {
  const Thread& thread;
  const Region& region;
  const void* address;
  size_t bytes;
  Access kind;
  bool inShared;
  const void* code;
  uint32_t site;

  std::string what() const { return describe(kind, bytes, region, inShared, address); }
};

void use(Use& use, const Deed& deed) {
  const Thread& t = deed.thread;
  const Writer& writer = use.writer;
  if (writer.how == Wrote::kInFlight && writer.block != kNoBlock &&
      (!deed.inShared || writer.block == t.block->serial)) {
    fail(finding::kInFlight, deed.what() + " that an async copy may still write", placeOf(deed.site),
         "copied at " + placeOf(writer.site));
  }
  if (const Order order = orderOf(writer, t, deed.inShared, isAtomic(deed.kind)); order != Order::kBefore) {
    conflict(order, deed.what(), deed.code, "written", writer.site);
  }
  if (deed.kind == Access::kRead) note(use.reader, t, deed.site, deed.inShared);
  if (!writes(deed.kind)) return;
  if (const Order order = orderOf(use.reader, t, deed.inShared); order != Order::kBefore) {
    conflict(order, deed.what(), deed.code, "read", use.reader.site);
  }
  use.writer = {t.block->serial, t.block->epoch, t.warp->stamp,
                deed.site,       t.index,        isAtomic(deed.kind) ? Wrote::kAtomic : Wrote::kPlain};
  use.reader = {};
}

void useBytes(Region& region, const Deed& deed) {
  size_t offset = region.offsetOf(deed.address);
  const size_t end = offset + deed.bytes;
  while (offset < end) {
    Cell& cell = region.page(offset)->cell(offset);
    const size_t first = offset % 4, n = std::min(4 - first, end - offset);
    if (n == 4 && cell.bytes == nullptr) {
      use(cell.use, deed);
    } else {
      if (cell.bytes == nullptr) {
        cell.bytes = std::make_unique<std::array<Use, 4>>();
        cell.bytes->fill(cell.use);
      }
      for (size_t i = first; i < first + n; ++i) use((*cell.bytes)[i], deed);
      if (n == 4 && writes(deed.kind)) {
        cell.use = (*cell.bytes)[0];
        cell.bytes.reset();
      }
    }
    offset += n;
  }
}

void check(Thread& t, const void* address, size_t bytes, Access kind, const void* code) {
  const Checks checks = settings().checks;
  Block& block = *t.block;
  Region* region = &block.shared.region;
  const bool inShared = region->contains(address);
  if (!inShared) {
    region = &machineMemory().region();
    if (!region->contains(address)) {
      if (kind == Access::kRead && isConstant(address)) return;
      if (static_cast<std::byte*>(__builtin_frame_address(0)) < t.stackLow) Scheduler::failStack();
      fail(finding::kOutOfBounds,
           std::string(verb(kind)) + " of " + std::to_string(bytes) + " bytes that are no memory of the device",
           placeOf(siteOf(code)));
    }
  }
  const size_t offset = region->offsetOf(address);
  if (region->bytes() - offset < bytes || !region->isValid(offset, bytes)) {
    fail(finding::kOutOfBounds, describe(kind, bytes, *region, inShared, address), placeOf(siteOf(code)));
  }
  if (checks == Checks::kBounds) return;
  if (reads(kind) && !region->isWritten(offset, bytes)) {
    fail(finding::kUninitialised, describe(kind, bytes, *region, inShared, address), placeOf(siteOf(code)));
  }
  if (writes(kind)) region->setWritten(offset, bytes, true);
  useBytes(*region, {t, *region, address, bytes, kind, inShared, code, siteOf(code)});
}

}  // namespace

void access(const void* address, size_t bytes, Access kind, const void* code) {
  Thread* t = current;
  if (static_cast<size_t>(static_cast<const std::byte*>(address) - t->stackLow) < kStackBytes) return;
  if (settings().checks == Checks::kNone) return;
  const InLibrary inside;
  Scheduler::mayPreempt();
  check(*t, address, bytes, kind, code);
}

void readAs(Thread& thread, const void* address, size_t bytes, const void* code) {
  if (settings().checks != Checks::kNone) check(thread, address, bytes, Access::kRead, code);
}

void requireVector(const void* address, bool shared, const char* what, const void* code) {
  if (reinterpret_cast<uintptr_t>(address) % 16 != 0) {
    fail(finding::kMisaligned, std::string(what) + " of 16 bytes at an address that is no multiple of 16",
         placeOf(siteOf(code)));
  }
  if (shared && !current->block->shared.region.contains(address)) {
    fail(finding::kOutOfBounds, std::string(what) + " of 16 bytes that are no shared memory", placeOf(siteOf(code)));
  }
}

}  // namespace quipu::simt
