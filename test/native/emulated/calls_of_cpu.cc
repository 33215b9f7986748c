// The CPU's own instructions, compiled for AVX-512 and VNNI.
#include <immintrin.h>

#include <utility>

#include "cpu/inline.h"
#include "emulated/calls.h"

namespace quipu::test {

namespace {
// clang-format off
#include "emulated/call_list.h"
// clang-format on
}  // namespace

Calls callsOfCpu() { return collected(); }

}  // namespace quipu::test
