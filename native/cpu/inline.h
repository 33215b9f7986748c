// How functions of the per-target files are declared. Internal linkage and forced inlining: a copy that the linker
// could share between targets would run AVX-512 code on a machine without it.
#pragma once

#if defined(__SANITIZE_ADDRESS__) || \
    defined(__SANITIZE_THREAD__)  // instrumented code inlined by force takes ten minutes to compile
#define QUIPU_INLINE static inline
#else
#define QUIPU_INLINE static inline __attribute__((always_inline))
#endif

// What the compiler cannot see has written to `data`: what was computed from it before is computed again.
QUIPU_INLINE void changed(const void* data) { __asm__ volatile("" : : "r"(data) : "memory"); }
