#include "simt/scheduler.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <numeric>
#include <sstream>

#include "simt/async_copy.h"
#include "simt/atomics.h"
#include "simt/built_ins.h"
#include "simt/meeting.h"
#include "simt/report.h"
#include "simt/settings.h"

namespace quipu::simt {

thread_local Thread* current = nullptr;

namespace {

thread_local Scheduler* scheduler = nullptr;

constexpr size_t kSharedBytes = 256 * 1024;
constexpr uint64_t kCanary = 0x5174616b63616e61;

uint3 positionIn(const dim3& size, uint32_t index) {
  return {index % size.x, index / size.x % size.y, index / size.x / size.y};
}

uint32_t countOf(const dim3& size) { return size.x * size.y * size.z; }

}  // namespace

Block::Block() {
  constexpr int kMode = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
  auto* memory = static_cast<std::byte*>(mmap(nullptr, kSharedBytes, PROT_READ | PROT_WRITE, kMode, -1, 0));
  shared.region = Region(memory, kSharedBytes);
  stackBytes = (1 + 1024) * kStackBytes;  // the lowest is where the first thread's would overflow
  stacks = static_cast<std::byte*>(mmap(nullptr, stackBytes, PROT_READ | PROT_WRITE, kMode, -1, 0));
}

Block::~Block() {
  munmap(shared.region.base(), shared.region.bytes());
  munmap(stacks, stackBytes);
}

bool Scheduler::run(std::shared_ptr<const Launch> launch, const Successor& successor,
                    const std::function<void()>& ended, uint32_t& chain) {
  scheduler = this;
  handOver_ = chain;
  begin(std::move(launch));
  while (!grids_.empty()) {
    startBlocks();
    const bool admitted = admitSuccessor(successor);
    Block* block = choose();
    if (block != nullptr) {
      runThread(*block);
    } else if (!admitted) {
      failure_ = deadlock();
    }
    if (!failure_.empty()) return failed();
    endGrids(ended);
    if (!failure_.empty()) return failed();
  }
  chain = handOver_;
  return true;
}

void Scheduler::begin(std::shared_ptr<const Launch> launch) {
  auto grid = std::make_unique<Grid>();
  if (grids_.empty()) {
    forgetReleases();
    const uint64_t seed = settings().seed;
    random_ = Random(seed * 0x100000001b3 + launches_);
    residents_ = seed == 0 ? 1 : 1 + random_.below(4);
    constexpr uint32_t kEvery[] = {0, 8, 64, 512};
    preemptEvery_ = seed == 0 ? 0 : kEvery[random_.below(4)];
    untilPreempted_ = preemptEvery_ == 0 ? 0 : 1 + random_.below(2 * preemptEvery_);
  }
  eager_ = settings().seed != 0 && !random_.oneIn(4);
  ++launches_;
  grid->order.resize(countOf(launch->grid));
  std::iota(grid->order.begin(), grid->order.end(), 0u);
  if (settings().seed != 0) {
    for (uint32_t i = grid->blocks(); i > 1; --i) std::swap(grid->order[i - 1], grid->order[random_.below(i)]);
  }
  grid->first = serials_;
  serials_ += grid->blocks();
  grid->chainFirst = launch->programmatic && handOver_ != 0 ? handOver_ : grid->first;
  grid->handOver = grid->first;
  grid->predecessor = grids_.empty() ? nullptr : grids_.back().get();
  grid->launch = std::move(launch);
  grids_.push_back(std::move(grid));
  asked_ = false;
}

// A dependent grid begins as soon as all blocks before it have let it or ended, or later.
bool Scheduler::admitSuccessor(const Successor& successor) {
  const Grid& last = *grids_.back();
  if (asked_ || !eager_ || last.triggered < last.blocks()) return false;
  asked_ = true;
  std::shared_ptr<const Launch> next = successor();
  if (next == nullptr) return false;
  handOver_ = last.handOver;
  begin(std::move(next));
  return true;
}

void Scheduler::startBlocks() {
  for (const auto& grid : grids_) {
    while (grid->begun < grid->blocks()) {
      if (resident_.size() >= residents_ + (grid->predecessor == nullptr ? 0 : 1)) return;
      start(*grid, grid->order[grid->begun++]);
    }
  }
}

void Scheduler::start(Grid& grid, uint32_t index) {
  if (idle_.empty()) idle_.push_back(std::make_unique<Block>());
  std::unique_ptr<Block> owned = std::move(idle_.back());
  idle_.pop_back();
  Block& block = *owned;
  const Launch& launch = *grid.launch;
  const uint32_t threads = countOf(launch.block);
  block.grid = &grid;
  block.position = positionIn(launch.grid, index);
  block.serial = grid.first + index;
  block.epoch = 0;
  block.live = threads;
  block.atBarrier = 0;
  block.triggered = block.waited = false;
  block.known = nullptr;
  SharedMemory& shared = block.shared;
  if (shared.used != 0) {
    shared.region.setValid(0, shared.used, false);
    shared.region.setWritten(0, shared.used, false);
  }
  shared.arrays.clear();
  shared.staticBytes = 0;
  shared.used = launch.dynamicShared;
  if (shared.used != 0) shared.region.setValid(0, shared.used, true);
  memset(shared.region.base(), 0xff, shared.used);
  block.threads.resize(threads);
  block.warps.assign((threads + 31) / 32, {});
  block.ready.clear();
  for (uint32_t i = 0; i < threads; ++i) {
    Thread& t = block.threads[i];
    t = {};
    t.block = &block;
    t.warp = &block.warps[i / 32];
    t.index = static_cast<uint16_t>(i);
    t.lane = static_cast<uint8_t>(i % 32);
    t.position = positionIn(launch.block, i);
    t.stackLow = block.stacks + (1 + i) * kStackBytes;
    memcpy(t.stackLow, &kCanary, sizeof kCanary);
    t.stack = prepareStack(t.stackLow, kStackBytes, &Scheduler::main);
    t.warp->live |= 1u << t.lane;
    block.ready.push_back(&t);
  }
  for (size_t i = 0; i < block.warps.size(); ++i) {
    block.warps[i].block = &block;
    block.warps[i].threads = &block.threads[i * 32];
  }
  // The last is taken first.
  if (settings().seed == 0) std::reverse(block.ready.begin(), block.ready.end());
  resident_.push_back(std::move(owned));
}

// Stays with a block for a while: schedules in which blocks are far apart, too.
Block* Scheduler::choose() {
  if (last_ != nullptr && !last_->ready.empty() && (residents_ == 1 || !random_.oneIn(16))) return last_;
  last_ = nullptr;
  uint32_t seen = 0;
  for (const auto& block : resident_) {
    if (block->ready.empty()) continue;
    ++seen;
    if (seen == 1 || random_.oneIn(seen)) last_ = block.get();
  }
  return last_;
}

void Scheduler::runThread(Block& block) {
  std::vector<Thread*>& ready = block.ready;
  if (settings().seed != 0) std::swap(ready[random_.below(static_cast<uint32_t>(ready.size()))], ready.back());
  Thread& t = *ready.back();
  ready.pop_back();
  current = &t;
  setBuiltIns(t);
  switchStack(home_, t.stack);
  current = nullptr;
  uint64_t canary;
  memcpy(&canary, t.stackLow, sizeof canary);
  if (canary != kCanary && failure_.empty()) {
    failure_ = stackOverflow(block);
  }
  if (failure_.empty() && t.state == State::kDone && block.live == 0) end(block);
}

void Scheduler::main() {
  Thread& t = *current;
  t.block->grid->launch->call->run();
  t.inLibrary = true;
  expectNoCopies(t);
  t.state = State::kDone;
  --t.block->live;
  leaveWarp(t);
  leaveBarrier(t);
  switchStack(t.stack, scheduler->home_);
  __builtin_unreachable();
}

void Scheduler::end(Block& block) {
  Grid& grid = *block.grid;
  ++grid.ended;
  if (!block.triggered) {
    ++grid.triggered;
    if (!block.waited) grid.handOver = std::min(grid.handOver, grid.chainFirst);
  }
  const auto it = std::find_if(resident_.begin(), resident_.end(), [&](const auto& b) { return b.get() == &block; });
  idle_.push_back(std::move(*it));
  resident_.erase(it);
  if (last_ == &block) last_ = nullptr;
}

// Grids end in their order.
void Scheduler::endGrids(const std::function<void()>& ended) {
  while (!grids_.empty() && grids_.front()->ended == grids_.front()->blocks()) {
    Grid& grid = *grids_.front();
    if (grid.chainFirst < grid.first && !grid.waited) {
      failure_ =
          std::string("simt: ") + finding::kPredecessor + ": " + nameOf(grid.launch->kernel) +
          " may begin before the kernel before it has ended, and no thread of it waits: what follows it would not "
          "wait for that kernel either";
      return;
    }
    handOver_ = grid.handOver;
    const std::unique_ptr<Grid> gone = std::move(grids_.front());
    grids_.pop_front();
    if (!grids_.empty()) {
      grids_.front()->predecessor = nullptr;
      for (const auto& block : resident_) {
        if (block->grid != grids_.front().get()) continue;
        for (Thread& t : block->threads) {
          if (t.state == State::kPredecessor) makeReady(t);
        }
      }
    }
    ended();
  }
}

std::string Scheduler::deadlock() const {
  std::ostringstream text;
  text << "simt: " << finding::kBarrier << ": nobody can go on";
  for (const auto& block : resident_) {
    text << "\n  in " << nameOf(block->grid->launch->kernel) << ", block (" << block->position.x << ","
         << block->position.y << "," << block->position.z << ")";
    std::map<std::string, uint32_t> places;
    for (const Thread& t : block->threads) {
      if (t.state == State::kDone) continue;
      ++places[t.state == State::kPredecessor ? "waitForPredecessor()" : placeOf(t.site)];
    }
    for (const auto& [place, threads] : places) text << "\n    " << threads << " threads wait at " << place;
  }
  return text.str();
}

bool Scheduler::failed() {
  report(failure_);
  for (auto& block : resident_) idle_.push_back(std::move(block));
  resident_.clear();
  grids_.clear();
  last_ = nullptr;
  failure_.clear();
  return false;
}

void Scheduler::wait(State state) {
  current->state = state;
  Thread& t = *current;
  switchStack(t.stack, scheduler->home_);
}

void Scheduler::makeReady(Thread& thread) {
  thread.state = State::kReady;
  thread.block->ready.push_back(&thread);
}

void Scheduler::mayPreempt() {
  Scheduler& s = *scheduler;
  if (s.preemptEvery_ == 0 || --s.untilPreempted_ > 0) return;
  s.untilPreempted_ = 1 + s.random_.below(2 * s.preemptEvery_);
  makeReady(*current);
  wait(State::kReady);
}

// Behind what may be a loop that waits for another thread: those come to run, whatever the seed.
void Scheduler::mayYield() {
  if (!scheduler->random_.oneIn(4)) return;
  Thread& t = *current;
  t.state = State::kReady;
  t.block->ready.insert(t.block->ready.begin(), &t);
  scheduler->last_ = nullptr;
  switchStack(t.stack, scheduler->home_);
}

void Scheduler::abandon(std::string text) {
  scheduler->failure_ = std::move(text);
  switchStack(current->stack, scheduler->home_);
  __builtin_unreachable();
}

std::string Scheduler::stackOverflow(const Block& block) {
  return std::string("simt: ") + finding::kStack + ": a thread of " + nameOf(block.grid->launch->kernel) +
         " needs more than " + std::to_string(kStackBytes) + " bytes of local memory";
}

void Scheduler::failStack() { abandon(stackOverflow(*current->block)); }

void Scheduler::waitForPredecessor() {
  Thread& t = *current;
  Grid& grid = *t.block->grid;
  if (grid.predecessor != nullptr) wait(State::kPredecessor);
  t.waited = t.block->waited = grid.waited = true;
}

void Scheduler::letSuccessorStart() {
  Thread& t = *current;
  Grid& grid = *t.block->grid;
  if (t.block->triggered) return;
  t.block->triggered = true;
  ++grid.triggered;
  if (!t.waited) grid.handOver = std::min(grid.handOver, grid.chainFirst);
}

}  // namespace quipu::simt
