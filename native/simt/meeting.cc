#include "simt/meeting.h"

#include <algorithm>

#include "simt/device_functions.h"
#include "simt/report.h"
#include "simt/scheduler.h"

namespace quipu::simt {

namespace {

// All lanes that are expected are there: they go on.
void complete(Warp& warp, size_t index) {
  const Meeting meeting = warp.meetings[index];
  warp.meetings.erase(warp.meetings.begin() + static_cast<ptrdiff_t>(index));
  meeting.perform(warp, meeting.arrived);
  for (uint32_t lanes = meeting.arrived; lanes != 0; lanes &= lanes - 1) {
    Thread& t = warp.threads[std::countr_zero(lanes)];
    if (t.state == State::kMeeting) Scheduler::makeReady(t);
  }
}

[[noreturn]] void failCollective(const std::string& what, Site site, Site other) {
  fail(finding::kCollective, what, placeOf(site), "others of its warp are at " + placeOf(other));
}

}  // namespace

void meet(uint32_t mask, Perform perform, Site site) {
  Thread& t = *current;
  Warp& warp = *t.warp;
  const uint32_t own = 1u << t.lane;
  if ((mask & own) == 0) {
    fail(finding::kCollective, "lane " + std::to_string(t.lane) + " is not in the mask it calls with", placeOf(site));
  }
  t.site = site;
  size_t index = 0;
  while (index < warp.meetings.size() && (warp.meetings[index].mask & mask) == 0) ++index;
  if (index == warp.meetings.size()) {
    warp.meetings.push_back({mask, 0, perform, site});
  } else {
    const Meeting& there = warp.meetings[index];
    if (there.mask != mask)
      failCollective("a mask that overlaps with another one that lanes wait with", site, there.site);
    if (there.perform != perform || !(there.site == site)) {
      failCollective("lanes of one mask are at different calls", site, there.site);
    }
  }
  Meeting& meeting = warp.meetings[index];
  meeting.arrived |= own;
  if (meeting.arrived == (mask & warp.live)) {
    complete(warp, index);
  } else {
    Scheduler::wait(State::kMeeting);
  }
}

void leaveWarp(Thread& t) {
  Warp& warp = *t.warp;
  warp.live &= ~(1u << t.lane);
  for (size_t i = 0; i < warp.meetings.size();) {
    const Meeting& meeting = warp.meetings[i];
    if ((meeting.mask & 1u << t.lane) != 0 && meeting.arrived == (meeting.mask & warp.live)) {
      complete(warp, i);
    } else {
      ++i;
    }
  }
}

void leaveBarrier(Thread& t) {
  const Block& block = *t.block;
  if (block.atBarrier == 0) return;
  fail(finding::kBarrier, "a thread has ended where others of its block wait for it", placeOf(block.barrier));
}

void syncThreads(Site site) {
  const InLibrary inside;
  Thread& t = *current;
  Block& block = *t.block;
  if (block.live < block.threads.size()) {
    fail(finding::kBarrier, "a barrier that threads of the block have ended before", placeOf(site));
  }
  if (block.atBarrier == 0) {
    block.barrier = site;
  } else if (!(block.barrier == site)) {
    fail(finding::kBarrier, "threads of one block are at different barriers", placeOf(site),
         "others are at " + placeOf(block.barrier));
  }
  t.site = site;
  if (++block.atBarrier < block.live) return Scheduler::wait(State::kBarrier);
  block.atBarrier = 0;
  ++block.epoch;
  bool waited = false;
  for (Thread& other : block.threads) {
    if (other.known != nullptr) block.known = joined(block.known, other.known);
    other.known = nullptr;
    waited |= other.waited;
  }
  for (Thread& other : block.threads) {
    other.waited = waited;
    if (other.state == State::kBarrier) Scheduler::makeReady(other);
  }
}

namespace {

void order(Warp& warp, uint32_t lanes) {
  const uint32_t stamp = ++warp.stamp;
  Stamps all = {};
  Known known;
  bool waited = false;
  for (uint32_t rest = lanes; rest != 0; rest &= rest - 1) {
    const int lane = std::countr_zero(rest);
    const Stamps& row = warp.joined[static_cast<size_t>(lane)];
    for (size_t i = 0; i < all.size(); ++i) all[i] = std::max(all[i], row[i]);
    known = joined(known, warp.threads[lane].known);
    waited |= warp.threads[lane].waited;
  }
  for (uint32_t rest = lanes; rest != 0; rest &= rest - 1) all[static_cast<size_t>(std::countr_zero(rest))] = stamp;
  for (uint32_t rest = lanes; rest != 0; rest &= rest - 1) {
    const int lane = std::countr_zero(rest);
    warp.joined[static_cast<size_t>(lane)] = all;
    warp.threads[lane].known = known;
    warp.threads[lane].waited = waited;
  }
}

// The lane that a shuffle reads, as the PTX instruction shfl defines it.
uint32_t sourceOf(Shuffle how, uint32_t lane, uint32_t argument, uint32_t width) {
  const uint32_t first = lane & ~(width - 1), last = first + width - 1;
  switch (how) {
    case Shuffle::kIndex:
      return first | (argument & (width - 1));
    case Shuffle::kUp:
      return lane - first >= argument ? lane - argument : lane;
    case Shuffle::kDown:
      return argument <= last - lane ? lane + argument : lane;
    default:
      return (lane ^ argument) <= last ? lane ^ argument : lane;
  }
}

template <Shuffle kHow>
void performShuffle(Warp& warp, uint32_t lanes) {
  for (uint32_t rest = lanes; rest != 0; rest &= rest - 1) {
    const auto lane = static_cast<uint32_t>(std::countr_zero(rest));
    Operands& o = warp.threads[lane].operands;
    const uint32_t source = sourceOf(kHow, lane, o.argument, static_cast<uint32_t>(o.width));
    o.wrong = (lanes >> source & 1) == 0;
    o.argument = source;
    if (!o.wrong) o.result = warp.threads[source].operands.value;
  }
}

void performBallot(Warp& warp, uint32_t lanes) {
  uint32_t votes = 0;
  for (uint32_t rest = lanes; rest != 0; rest &= rest - 1) {
    const int lane = std::countr_zero(rest);
    if (warp.threads[lane].operands.value != 0) votes |= 1u << lane;
  }
  for (uint32_t rest = lanes; rest != 0; rest &= rest - 1) warp.threads[std::countr_zero(rest)].operands.result = votes;
}

}  // namespace

void syncWarp(uint32_t mask, Site site) {
  const InLibrary inside;
  meet(mask, &order, site);
}

uint64_t shuffle(Shuffle how, uint32_t mask, uint64_t value, uint32_t argument, int width, Site site) {
  const InLibrary inside;
  if (width < 1 || width > 32 || (width & (width - 1)) != 0) {
    fail(finding::kCollective, "a shuffle of width " + std::to_string(width) + ": a power of two to 32", placeOf(site));
  }
  Thread& t = *current;
  t.operands.value = value;
  t.operands.argument = argument;
  t.operands.width = width;
  constexpr Perform kPerform[] = {&performShuffle<Shuffle::kIndex>, &performShuffle<Shuffle::kUp>,
                                  &performShuffle<Shuffle::kDown>, &performShuffle<Shuffle::kXor>};
  meet(mask, kPerform[static_cast<int>(how)], site);
  if (t.operands.wrong) {
    fail(finding::kCollective,
         "a shuffle from lane " + std::to_string(t.operands.argument) + ", which does not take part", placeOf(site));
  }
  return t.operands.result;
}

uint32_t ballot(uint32_t mask, bool predicate, Site site) {
  const InLibrary inside;
  current->operands.value = predicate;
  meet(mask, &performBallot, site);
  return static_cast<uint32_t>(current->operands.result);
}

}  // namespace quipu::simt
