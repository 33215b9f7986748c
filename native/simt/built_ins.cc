#include "simt/built_ins.h"

#include "simt/grid.h"

// Kernels see them as constants (device_functions.h, which this file must not include), so that no access of them is
// looked at and none is repeated: for one thread they never change.
uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;

namespace quipu::simt {

void setBuiltIns(const Thread& thread) {
  threadIdx = thread.position;
  blockIdx = thread.block->position;
  blockDim = thread.block->grid->launch->block;
  gridDim = thread.block->grid->launch->grid;
}

}  // namespace quipu::simt
