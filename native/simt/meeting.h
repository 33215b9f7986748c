// Where threads of a block meet: barriers, and collectives of a warp.
#pragma once

#include "simt/grid.h"

namespace quipu::simt {

// The current thread waits until all lanes of `mask` that have not ended are here; the last one performs it for all.
void meet(uint32_t mask, Perform perform, Site site);

// When a thread has ended.
void leaveWarp(Thread& thread);
void leaveBarrier(Thread& thread);

}  // namespace quipu::simt
