// The instructions of this processor that kernels are written for, by cpuid itself: __builtin_cpu_supports is always
// false where a compiler brings its own runtime (zig 0.17), and does not know AVX-VNNI everywhere (clang 14).
#pragma once

#if defined(__x86_64__)
#include <cpuid.h>

#include <cstdint>
#include <initializer_list>

namespace quipu::cpu {

struct Features {
  bool avx2 = false;        // with FMA, F16C and BMI2
  bool avxVnni = false;     // vpdpbusd of 256 bits without AVX-512
  bool avx512 = false;      // F, BW, VL and DQ
  bool avx512Vnni = false;  // with those
};

inline Features readFeatures() {
  struct Registers {
    unsigned a = 0, b = 0, c = 0, d = 0;
  };
  const auto leaf = [](unsigned number, unsigned sub) {
    Registers r;
    __get_cpuid_count(number, sub, &r.a, &r.b, &r.c, &r.d);  // where there is no such leaf, none of its bits
    return r;
  };
  const auto all = [](unsigned bits, std::initializer_list<int> wanted) {
    for (const int bit : wanted) {
      if ((bits >> bit & 1) == 0) return false;
    }
    return true;
  };
  const Registers one = leaf(1, 0), seven = leaf(7, 0);
  if (!all(one.c, {27})) return {};  // OSXSAVE: xgetbv says which registers the system keeps
  uint32_t kept = 0, upper = 0;
  __asm__("xgetbv" : "=a"(kept), "=d"(upper) : "c"(0));
  Features f;
  f.avx2 = all(kept, {1, 2}) && all(one.c, {12, 28, 29}) && all(seven.b, {5, 8});  // FMA, AVX, F16C; AVX2, BMI2
  f.avxVnni = f.avx2 && seven.a >= 1 && all(leaf(7, 1).a, {4});
  f.avx512 = f.avx2 && all(kept, {5, 6, 7}) && all(seven.b, {16, 17, 30, 31});  // F, DQ, BW, VL
  f.avx512Vnni = f.avx512 && all(seven.c, {11});
  return f;
}

}  // namespace quipu::cpu
#endif
