// What the environment, or a test, says of the emulated machine.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace quipu::simt {

// What is looked at in each access of memory.
enum class Checks {
  kNone,    // nothing: kernels that are known to be right, at full speed
  kBounds,  // that it is inside memory that there is
  kAll,     // also what was initialised, races and what is not waited for
};

struct Settings {
  uint64_t seed = 0;                // QUIPU_SIMT_SEED: schedules; 0: blocks and threads in their order
  Checks checks = Checks::kAll;     // QUIPU_SIMT_CHECKS: none, bounds, all
  size_t memory = size_t{1} << 30;  // QUIPU_SIMT_MEMORY: bytes of a device's
  int devices = 1;                  // QUIPU_SIMT_DEVICES: how many there are
  int driver = 13000;               // QUIPU_SIMT_DRIVER: the version of CUDA that the driver is for
  int major = 9, minor = 0;         // QUIPU_SIMT_ARCH: 80, 86, 89, 90, 100, 120: the compute capability
  uint64_t loseAt = 0;              // QUIPU_SIMT_LOSE: which launch fails as if the device were lost; 0: none
  std::string recordTo;             // QUIPU_SIMT_RECORD: a folder that launches are kept in (recording.h); empty: none
};

// Bytes of shared memory that a block of the device can have.
size_t sharedLimit();

// Those of this process: of the environment at first, then as tests set them between launches.
Settings& settings();

}  // namespace quipu::simt
