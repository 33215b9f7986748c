// What __builtin_cpu_supports of some compilers that build this (clang 14) does not know.
#pragma once

#if defined(__x86_64__)
#include <cpuid.h>

namespace quipu::cpu {

// AVX-VNNI: vpdpbusd of 256 bits without AVX-512. That the system keeps such registers is for AVX2 to say.
inline bool hasAvxVnni() {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  if (!__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) || eax < 1) return false;  // eax: the last subleaf
  return __get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx) && (eax >> 4 & 1) != 0;
}

}  // namespace quipu::cpu
#endif
