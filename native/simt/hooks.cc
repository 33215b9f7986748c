// The functions that gcc calls from kernels compiled with -fsanitize=thread,alignment,bounds,shift. They stand in for
// the sanitizers' own libraries, which are not linked: every load and store of unchanged sources comes by here. This
// file is compiled without those options.
#include <cstdint>

#include "simt/access.h"
#include "simt/atomics.h"
#include "simt/grid.h"
#include "simt/report.h"
#include "simt/scheduler.h"

namespace {

using namespace quipu::simt;

// Host code of the same files, and the library, are not looked at.
bool isWatched() { return current != nullptr && !current->inLibrary; }

void plainAccess(const void* address, size_t bytes, Access kind, const void* code) {
  if (isWatched()) access(address, bytes, kind, code);
}

void volatileAccess(const void* address, size_t bytes, bool write, const void* code) {
  if (!isWatched()) return;
  const InLibrary inside;
  Scheduler::mayYield();
  access(address, bytes, write ? Access::kAtomicWrite : Access::kAtomicRead, code);
  if (write) {
    releaseAt(address);
  } else {
    acquireAt(address);
  }
}

// As gcc lays them out (libsanitizer/ubsan).
struct SourceLocation {
  const char* file;
  uint32_t line;
  uint32_t column;

  std::string place() const { return std::string(file) + ":" + std::to_string(line); }
};

struct TypeDescriptor {
  uint16_t kind;
  uint16_t info;
  char name[1];
};

struct TypeMismatch {
  SourceLocation location;
  const TypeDescriptor* type;
  unsigned char alignmentLog;
  unsigned char kind;
};

struct OutOfBounds {
  SourceLocation location;
  const TypeDescriptor* array;
  const TypeDescriptor* index;
};

struct ShiftOutOfBounds {
  SourceLocation location;
  const TypeDescriptor* left;
  const TypeDescriptor* right;
};

}  // namespace

extern "C" {

void __tsan_init() {}

#define QUIPU_SIMT_HOOKS(bytes)                                                                                       \
  void __tsan_read##bytes(void* p) { plainAccess(p, bytes, Access::kRead, __builtin_return_address(0)); }             \
  void __tsan_write##bytes(void* p) { plainAccess(p, bytes, Access::kWrite, __builtin_return_address(0)); }           \
  void __tsan_unaligned_read##bytes(void* p) { plainAccess(p, bytes, Access::kRead, __builtin_return_address(0)); }   \
  void __tsan_unaligned_write##bytes(void* p) { plainAccess(p, bytes, Access::kWrite, __builtin_return_address(0)); } \
  void __tsan_volatile_read##bytes(void* p) { volatileAccess(p, bytes, false, __builtin_return_address(0)); }         \
  void __tsan_volatile_write##bytes(void* p) { volatileAccess(p, bytes, true, __builtin_return_address(0)); }
QUIPU_SIMT_HOOKS(1)
QUIPU_SIMT_HOOKS(2)
QUIPU_SIMT_HOOKS(4)
QUIPU_SIMT_HOOKS(8)
QUIPU_SIMT_HOOKS(16)
#undef QUIPU_SIMT_HOOKS

void __tsan_read_range(void* p, size_t bytes) { plainAccess(p, bytes, Access::kRead, __builtin_return_address(0)); }
void __tsan_write_range(void* p, size_t bytes) { plainAccess(p, bytes, Access::kWrite, __builtin_return_address(0)); }
// Of std::shared_ptr, in host code.
uint32_t __tsan_atomic32_fetch_add(volatile uint32_t* p, uint32_t value, int) {
  return __atomic_fetch_add(p, value, __ATOMIC_SEQ_CST);
}
uint32_t __tsan_atomic32_load(const volatile uint32_t* p, int) { return __atomic_load_n(p, __ATOMIC_SEQ_CST); }
uint8_t __tsan_atomic8_load(const volatile uint8_t* p, int) { return __atomic_load_n(p, __ATOMIC_SEQ_CST); }

void __tsan_vptr_update(void**, void*) {}
void __tsan_vptr_read(void**) {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}

void __ubsan_handle_type_mismatch_v1(TypeMismatch* data, uintptr_t address) {
  if (!isWatched()) return;
  fail(finding::kMisaligned,
       "an address that is no multiple of " + std::to_string(1 << data->alignmentLog) + " (" +
           std::to_string(address % (uintptr_t{1} << data->alignmentLog)) + " beyond one) for " + data->type->name,
       data->location.place());
}

void __ubsan_handle_out_of_bounds(OutOfBounds* data, uintptr_t index) {
  if (!isWatched()) return;
  fail(finding::kOutOfBounds, "index " + std::to_string(index) + " of " + data->array->name, data->location.place());
}

void __ubsan_handle_shift_out_of_bounds(ShiftOutOfBounds* data, uintptr_t, uintptr_t by) {
  if (!isWatched()) return;
  fail(finding::kShift, "a shift of " + std::string(data->left->name) + " by " + std::to_string(by),
       data->location.place());
}
}
