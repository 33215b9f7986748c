// What happens before what, as far as the kernels' own synchronisation says so; the order in which the emulator happens
// to run threads counts for nothing.
//
// Inside a block: a barrier orders all before it before all behind it (epochs), threads of a warp that meet in
// __syncwarp are ordered by stamps (Warp::joined), and shuffles and votes order nothing. Between blocks: what a thread
// knows when it fences is released by its next atomics, and acquired by atomics that read what they wrote.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "simt/memory.h"

namespace quipu::simt {

struct Thread;

// By lane: uses by it with a smaller stamp are known.
using Stamps = std::array<uint32_t, 32>;

// Uses by threads of other blocks (or warps) that a thread has come to know of by acquiring.
class Knowledge {
 public:
  // All of the block before `epoch`, and what `stamps` says of one of its warps.
  void add(uint32_t block, uint32_t epoch, uint32_t warp, const Stamps& stamps);
  void join(const Knowledge& other);
  bool hasAllBefore(uint32_t block, uint32_t epoch) const;
  // Whether a use is known; `inclusive`: also one that is as new as the release itself, as an atomic is that releases.
  bool has(uint32_t block, uint32_t epoch, uint32_t thread, uint32_t stamp, bool inclusive) const;

 private:
  struct OfBlock {
    uint32_t epoch = 0;
    std::vector<std::pair<uint32_t, Stamps>> warps;
  };

  std::unordered_map<uint32_t, OfBlock> blocks_;
};

using Known = std::shared_ptr<const Knowledge>;

// Both, of which either may be null.
Known joined(const Known& a, const Known& b);

enum class Order {
  kBefore,
  kRace,        // of threads of one block
  kCrossBlock,  // of blocks of one grid
  kPredecessor  // of a grid that was not waited for, or that did not wait
};

// Whether a use came before what `thread` does now.
Order orderOf(const Writer& writer, const Thread& thread, bool inShared, bool atomic);
Order orderOf(const Reader& reader, const Thread& thread, bool inShared);

}  // namespace quipu::simt
