// The roofs of a CPU, measured: how fast its memory can be read, how many multiply-adds of f32 and how many products of
// codes it can do.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

#include "core/error.h"
#include "cpu/kernel.h"

namespace quipu::cpu {

// Whether to stop: asked often enough to end within 100 ms.
using Stop = std::function<bool()>;

// The best of `passes` read-only passes over `bytes` of memory, shared by `threads`, in each of several patterns:
// numbers of streams, how far they are fetched ahead, small pages and huge ones. Which is the best differs between
// machines, and with what else runs on one. bytesPerSecond is written on success; stopped, it fails with kAborted.
Status measureReadBandwidth(const Target& target, uint32_t threads, size_t bytes, uint32_t passes, const Stop& stop,
                            double& bytesPerSecond);

// The best of forty short runs of a loop of the target that works in registers, multiplyAddLoop or integerLoop, on
// `threads`, in operations per second; like measureReadBandwidth when stopped.
Status measureOperations(double (*loop)(uint64_t iterations), uint32_t threads, const Stop& stop,
                         double& operationsPerSecond);

}  // namespace quipu::cpu
