#include "simt/async_copy.h"

#include <algorithm>
#include <cstring>

#include "simt/access.h"
#include "simt/gpu.h"
#include "simt/report.h"
#include "simt/settings.h"

namespace quipu::simt {

namespace {

void markWriters(const Thread& t, const std::byte* to, uint32_t site, Wrote how) {
  Region& region = t.block->shared.region;
  const size_t offset = region.offsetOf(to);
  for (size_t i = 0; i < 16; i += 4) {
    Cell& cell = region.page(offset + i)->cell(offset + i);
    cell.bytes.reset();
    cell.use.writer = {t.block->serial, t.block->epoch, t.warp->stamp, site, t.index, how};
  }
}

}  // namespace

void copyAsync(void* shared, const void* global, bool present, Site) {
  const InLibrary inside;
  const void* code = __builtin_return_address(0);
  Thread& t = *current;
  auto* to = static_cast<std::byte*>(shared);
  requireVector(shared, true, "an async copy", code);
  if (present) {
    requireVector(global, false, "an async copy", code);
    access(global, 16, Access::kRead, code);
  }
  access(shared, 16, Access::kWrite, code);
  const uint32_t site = siteOf(code);
  if (settings().checks == Checks::kAll) markWriters(t, to, site, Wrote::kInFlight);
  t.copies.push_back({to, present ? static_cast<const std::byte*>(global) : nullptr, t.groups, site});
}

void commitCopies() { ++current->groups; }

void waitForCopies(uint32_t groupsLeft) {
  const InLibrary inside;
  completeCopies(*current, groupsLeft);
}

void completeCopies(Thread& t, uint32_t groupsLeft) {
  // A copy that no group has taken is waited for by cp.async.wait_all alone, which no kernel uses.
  const uint32_t end = t.groups - std::min(groupsLeft, t.groups);
  const auto landed =
      std::find_if(t.copies.begin(), t.copies.end(), [&](const PendingCopy& c) { return c.group >= end; });
  for (auto copy = t.copies.begin(); copy != landed; ++copy) {
    if (copy->from != nullptr) {
      memcpy(copy->to, copy->from, 16);
    } else {
      memset(copy->to, 0, 16);
    }
    if (settings().checks == Checks::kAll) markWriters(t, copy->to, copy->site, Wrote::kPlain);
  }
  t.copies.erase(t.copies.begin(), landed);
}

void expectNoCopies(const Thread& t) {
  if (t.copies.empty()) return;
  fail(finding::kInFlight, "the thread ends with an async copy on its way", placeOf(t.copies.front().site));
}

}  // namespace quipu::simt
