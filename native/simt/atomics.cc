// Atomics, the fence, and loads that go another way than a plain one.
#include "simt/atomics.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <type_traits>

#include "simt/access.h"
#include "simt/device_functions.h"
#include "simt/grid.h"
#include "simt/report.h"
#include "simt/scheduler.h"

namespace quipu::simt {

namespace {

// What was released by atomics, by address.
thread_local std::map<const void*, Known> released;

template <typename T>
T result(Atomic how, T before, T operand, T compare) {
  if constexpr (std::is_integral_v<T>) {
    if (how == Atomic::kAnd) return before & operand;
    if (how == Atomic::kOr) return before | operand;
    if (how == Atomic::kAdd) return static_cast<T>(static_cast<uint64_t>(before) + static_cast<uint64_t>(operand));
  }
  switch (how) {
    case Atomic::kAdd:
      return before + operand;
    case Atomic::kMin:
      return std::min(before, operand);
    case Atomic::kMax:
      return std::max(before, operand);
    case Atomic::kCompareAndSwap:
      return before == compare ? operand : before;
    default:
      return operand;
  }
}

}  // namespace

void acquireAt(const void* address) {
  Thread& t = *current;
  if (const auto found = released.find(address); found != released.end()) t.known = joined(t.known, found->second);
}

void releaseAt(const void* address) {
  Thread& t = *current;
  if (t.released == nullptr) return;
  Known& at = released[address];
  at = joined(at, t.released);
}

void forgetReleases() { released.clear(); }

template <typename T>
T atomic(Atomic how, T* address, T operand, T compare, Site) {
  const InLibrary inside;
  const void* code = __builtin_return_address(0);
  Scheduler::mayYield();
  if (reinterpret_cast<uintptr_t>(address) % sizeof(T) != 0) {
    fail(finding::kMisaligned, "an atomic of " + std::to_string(sizeof(T)) + " bytes", placeOf(siteOf(code)));
  }
  access(address, sizeof(T), Access::kAtomic, code);
  T before;
  memcpy(&before, address, sizeof before);
  acquireAt(address);
  releaseAt(address);
  const T after = result(how, before, operand, compare);
  memcpy(static_cast<void*>(address), &after, sizeof after);
  return before;
}

template int32_t atomic(Atomic, int32_t*, int32_t, int32_t, Site);
template uint32_t atomic(Atomic, uint32_t*, uint32_t, uint32_t, Site);
template long long atomic(Atomic, long long*, long long, long long, Site);
template unsigned long atomic(Atomic, unsigned long*, unsigned long, unsigned long, Site);
template unsigned long long atomic(Atomic, unsigned long long*, unsigned long long, unsigned long long, Site);
template float atomic(Atomic, float*, float, float, Site);
template double atomic(Atomic, double*, double, double, Site);

void fence() {
  const InLibrary inside;
  Thread& t = *current;
  Warp& warp = *t.warp;
  ++warp.stamp;
  Stamps stamps = warp.joined[t.lane];
  stamps[t.lane] = warp.stamp;
  auto knowledge = std::make_shared<Knowledge>();
  if (t.known != nullptr) knowledge->join(*t.known);
  if (t.block->known != nullptr) knowledge->join(*t.block->known);
  knowledge->add(t.block->serial, t.block->epoch, t.index / 32u, stamps);
  t.released = std::move(knowledge);
}

void loadChecked(const void* address, size_t bytes, void* to, Site) {
  const InLibrary inside;
  const void* code = __builtin_return_address(0);
  if (bytes == 16) requireVector(address, false, "a load", code);
  access(address, bytes, Access::kRead, code);
  memcpy(to, address, bytes);
}

}  // namespace quipu::simt
