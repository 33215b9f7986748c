#include "simt/ordering.h"

#include <algorithm>

#include "simt/grid.h"

namespace quipu::simt {

void Knowledge::add(uint32_t block, uint32_t epoch, uint32_t warp, const Stamps& stamps) {
  OfBlock& known = blocks_[block];
  if (epoch > known.epoch) {
    known.epoch = epoch;
    known.warps.clear();  // theirs are of an epoch before: all of it is known now
  }
  if (epoch < known.epoch) return;
  for (auto& [number, have] : known.warps) {
    if (number != warp) continue;
    for (size_t lane = 0; lane < have.size(); ++lane) have[lane] = std::max(have[lane], stamps[lane]);
    return;
  }
  known.warps.emplace_back(warp, stamps);
}

void Knowledge::join(const Knowledge& other) {
  for (const auto& [block, of] : other.blocks_) {
    OfBlock& known = blocks_[block];
    if (of.epoch > known.epoch) known = {of.epoch, {}};
    if (of.epoch == known.epoch) {
      for (const auto& [warp, stamps] : of.warps) add(block, of.epoch, warp, stamps);
    }
  }
}

bool Knowledge::hasAllBefore(uint32_t block, uint32_t epoch) const {
  const auto found = blocks_.find(block);
  return found != blocks_.end() && epoch < found->second.epoch;
}

bool Knowledge::has(uint32_t block, uint32_t epoch, uint32_t thread, uint32_t stamp, bool inclusive) const {
  const auto found = blocks_.find(block);
  if (found == blocks_.end()) return false;
  if (epoch != found->second.epoch) return epoch < found->second.epoch;
  for (const auto& [warp, stamps] : found->second.warps) {
    if (warp == thread / 32) return inclusive ? stamp <= stamps[thread % 32] : stamp < stamps[thread % 32];
  }
  return false;
}

Known joined(const Known& a, const Known& b) {
  if (b == nullptr || a == b) return a;
  if (a == nullptr) return b;
  auto both = std::make_shared<Knowledge>(*a);
  both->join(*b);
  return both;
}

namespace {

bool knows(const Thread& t, auto&& known) {
  return (t.known != nullptr && known(*t.known)) || (t.block->known != nullptr && known(*t.block->known));
}

// Of a use by block `serial`, where neither order of blocks nor of grids says that it came before.
enum class Where { kBefore, kSameBlock, kSameGrid, kOtherGrid };

Where whereOf(uint32_t serial, const Thread& t, bool inShared) {
  if (serial == t.block->serial) return Where::kSameBlock;
  if (inShared) return Where::kBefore;  // by a block that had the memory earlier
  const Grid& grid = *t.block->grid;
  if (serial < grid.chainFirst) return Where::kBefore;
  if (serial < grid.first) return t.waited ? Where::kBefore : Where::kOtherGrid;
  return serial < grid.end() ? Where::kSameGrid : Where::kOtherGrid;
}

}  // namespace

Order orderOf(const Writer& writer, const Thread& t, bool inShared, bool atomic) {
  if (writer.block == kNoBlock) return Order::kBefore;
  const bool atomics = writer.how == Wrote::kAtomic && atomic;
  const auto known = [&] {
    return knows(t, [&](const Knowledge& k) {
      return k.has(writer.block, writer.epoch, writer.thread, writer.stamp, writer.how == Wrote::kAtomic);
    });
  };
  switch (whereOf(writer.block, t, inShared)) {
    case Where::kBefore:
      return Order::kBefore;
    case Where::kSameBlock:
      if (atomics || writer.thread == t.index || writer.epoch < t.block->epoch) return Order::kBefore;
      if (writer.thread / 32 == t.index / 32 && writer.stamp < t.warp->joined[t.lane][writer.thread % 32]) {
        return Order::kBefore;
      }
      return known() ? Order::kBefore : Order::kRace;
    case Where::kSameGrid:
      return atomics || known() ? Order::kBefore : Order::kCrossBlock;
    default:
      return Order::kPredecessor;
  }
}

Order orderOf(const Reader& reader, const Thread& t, bool inShared) {
  if (reader.block == kNoBlock) return Order::kBefore;
  const auto knownTo = [&](uint32_t lanes) {
    for (; lanes != 0; lanes &= lanes - 1) {
      const uint32_t thread = reader.warp * 32u + static_cast<uint32_t>(std::countr_zero(lanes));
      if (!knows(t,
                 [&](const Knowledge& k) { return k.has(reader.block, reader.epoch, thread, reader.stamp, false); })) {
        return false;
      }
    }
    return true;
  };
  const auto allKnown = [&] {
    if (reader.spread == Spread::kLanes) return knownTo(reader.lanes);
    return knows(t, [&](const Knowledge& k) { return k.hasAllBefore(reader.block, reader.epoch); });
  };
  switch (whereOf(reader.block, t, inShared)) {
    case Where::kBefore:
      return Order::kBefore;
    case Where::kSameBlock: {
      if (reader.spread == Spread::kGrid) return Order::kCrossBlock;
      if (reader.epoch < t.block->epoch) return Order::kBefore;
      if (reader.spread == Spread::kBlock) return Order::kRace;
      if (reader.warp != t.index / 32)
        return reader.lanes != 0 && knownTo(reader.lanes) ? Order::kBefore : Order::kRace;
      for (uint32_t others = reader.lanes & ~(1u << t.lane); others != 0; others &= others - 1) {
        const uint32_t lane = static_cast<uint32_t>(std::countr_zero(others));
        if (reader.stamp >= t.warp->joined[t.lane][lane] && !knownTo(1u << lane)) return Order::kRace;
      }
      return Order::kBefore;
    }
    case Where::kSameGrid:
      return reader.spread != Spread::kGrid && allKnown() ? Order::kBefore : Order::kCrossBlock;
    default:
      return Order::kPredecessor;
  }
}

}  // namespace quipu::simt
