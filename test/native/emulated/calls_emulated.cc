// The emulated instructions. They are not inline here, so that the compiler says which of them no call is of
// (-Werror=unused-function).
#include <immintrin.h>

#include <utility>

#include "emulated/calls.h"

#define QUIPU_INLINE static

namespace quipu::test {

namespace {
// clang-format off
#include "emulated/avx512.h"
#include "emulated/call_list.h"
// clang-format on
}  // namespace

Calls emulatedCalls() { return collected(); }

}  // namespace quipu::test
