// What every load and store of a kernel goes through, and the library's own accesses for it.
#pragma once

#include <cstddef>
#include <cstdint>

namespace quipu::simt {

enum class Access {
  kRead,
  kWrite,
  kAtomic,       // read, changed and written
  kAtomicRead,   // volatile
  kAtomicWrite,  // volatile
};

// An access by the current thread, which there is; does not return to the kernel where it is wrong. `code` is where it
// is.
void access(const void* address, size_t bytes, Access kind, const void* code);

// What a lane of a collective reads: `code` is the collective.
struct Thread;
void readAs(Thread& thread, const void* address, size_t bytes, const void* code);

// Bounds and alignment of 16 bytes alone.
void requireVector(const void* address, bool shared, const char* what, const void* code);

}  // namespace quipu::simt
