// What a device is to the rest of the native code: something that prepares a program and runs it.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>

#include "core/error.h"
#include "core/program.h"

namespace quipu {

class Backend {
 public:
  virtual ~Backend() = default;

  // Makes `program` the one that run() runs, with room for its arena and its kernels' workspace. Both calls are made on
  // the thread of the device's queue.
  virtual Status prepare(const std::shared_ptr<const Program>& program) = 0;
  // Runs all ops of the prepared program. `cancelled` is looked at between ops and inside long ones.
  virtual Status run(const std::atomic<bool>& cancelled) = 0;
  // Bytes of arena and workspace held now.
  virtual size_t workspaceBytes() const = 0;
};

}  // namespace quipu
