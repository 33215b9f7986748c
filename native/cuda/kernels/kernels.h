// The ops' launches, by file. A kernel reads nothing that others of the run write, and writes nothing, before it has
// waited for its predecessor.
#pragma once

#include "cuda/op_call.h"

namespace quipu::cuda {

// simple.cu
// An error where the build has no kernels for the thread's device, neither images nor PTX.
cudaError_t findKernels();
void gatherRows(const OpCall& call, Launches& launches);
void rmsNorm(const OpCall& call, Launches& launches);
void gatherNorm(const OpCall& call, Launches& launches);
void add(const OpCall& call, Launches& launches);
void swiglu(const OpCall& call, Launches& launches);
void ropeAngles(const OpCall& call, Launches& launches);
void rope(const OpCall& call, Launches& launches);
void resume(const OpCall& call, Launches& launches);
void advance(const OpCall& call, Launches& launches);
// product.cu
size_t matmulWorkspace(const OpCall& call);
size_t matmulAddWorkspace(const OpCall& call);
size_t matmulSwigluWorkspace(const OpCall& call);
size_t normMatmulSwigluWorkspace(const OpCall& call);
size_t normQkvWorkspace(const OpCall& call);
void matmul(const OpCall& call, Launches& launches);
void matmulAdd(const OpCall& call, Launches& launches);
void matmulSwiglu(const OpCall& call, Launches& launches);
void normMatmulSwiglu(const OpCall& call, Launches& launches);
void normQkv(const OpCall& call, Launches& launches);
// cache.cu
void appendKv(const OpCall& call, Launches& launches);
// attention.cu
size_t attentionWorkspace(const OpCall& call);
void attention(const OpCall& call, Launches& launches);
// sample.cu
size_t sampleWorkspace(const OpCall& call);
size_t matmulSampleWorkspace(const OpCall& call);
void sample(const OpCall& call, Launches& launches);
void matmulSample(const OpCall& call, Launches& launches);

}  // namespace quipu::cuda
