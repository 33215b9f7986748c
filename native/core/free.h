// For what malloc and its like have given.
#pragma once

#include <cstdlib>
#include <memory>

namespace quipu {

struct Free {
  void operator()(void* memory) const { free(memory); }
};

template <typename T>
using Freed = std::unique_ptr<T[], Free>;

}  // namespace quipu
