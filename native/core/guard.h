// Under AddressSanitizer, bytes behind every buffer that nothing may touch: what leaves a buffer is seen, whatever lies
// behind it. In other builds there are none.
#pragma once

#include <cstddef>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#endif

namespace quipu {

#ifdef __SANITIZE_ADDRESS__
inline constexpr size_t kGuardBytes = 4096;
inline void forbid(const std::byte* begin, size_t bytes) { ASAN_POISON_MEMORY_REGION(begin, bytes); }
inline void allow(const std::byte* begin, size_t bytes) { ASAN_UNPOISON_MEMORY_REGION(begin, bytes); }
#else
inline constexpr size_t kGuardBytes = 0;
inline void forbid(const std::byte*, size_t) {}
inline void allow(const std::byte*, size_t) {}
#endif

}  // namespace quipu
