// The variables that every kernel has: threadIdx, blockIdx, blockDim, gridDim.
#pragma once

namespace quipu::simt {

struct Thread;

// Makes them those of a thread that is about to run.
void setBuiltIns(const Thread& thread);

}  // namespace quipu::simt
