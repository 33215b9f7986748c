// What kernels and their host code are written in: CUDA, or the emulator that runs the same sources on a CPU
// (native/simt). Only what is here is spelled otherwise than in plain CUDA.
//
//   SHARED(type, name)      shared memory of the block; an array by an alias of its type
//   DYNAMIC_SHARED(name)    that of the launch, as std::byte*, aligned to 128
//   mmaHalf(d, a, b)        d += a · b of 16 × 8 by 16 (mma.m16n8k16), a and b of f16, d of f32
//   ldmatrix4(r, row)       four matrices of 8 × 8 halves from shared memory; row l % 8 of matrix l / 8 is where lane l
//                           says
//   copyAsync16<kOnce>(to, from, there)   16 bytes of global memory to shared memory, or zeros, beside the thread;
//                           kOnce: nobody reads them again, and L2 may evict them first
//   copyAsyncCommit()       what was copied since the last commit is a group
//   copyAsyncWait<n>()      until but the last n groups of this thread are there
//   halfPair                two f32 rounded to nearest even, the first in the lower half
//   halfBits, halfToFloat   one of f16
//   halfFma2(a, b, c)       a · b + c of pairs of f16, rounded once
//   lop3<LUT>(a, b, c)      bits by a table: of 0xF0, 0xCC and 0xAA
//   powerOfTwo(x)           2ˣ, to two units of the last place (ex2.approx.ftz)
//   waitForPredecessor()    before anything is read that the kernel before has written, or written that it reads
//   letSuccessorStart()     the next kernel may begin up to its own wait
//
// Host code alone (a .cc by the host's compiler) has none of these.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>

#ifdef __CUDACC__

#define SHARED(type, name) __shared__ type name
#define DYNAMIC_SHARED(name) extern __shared__ __align__(128) std::byte name[]

namespace quipu::cuda {

__device__ __forceinline__ void mmaHalf(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

__device__ __forceinline__ void ldmatrix4(uint32_t (&r)[4], const void* row) {
  const auto address = static_cast<uint32_t>(__cvta_generic_to_shared(row));
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(address)
               : "memory");
}

template <bool kOnce = false>
__device__ __forceinline__ void copyAsync16(void* to, const void* from, bool there) {
  const auto address = static_cast<uint32_t>(__cvta_generic_to_shared(to));
  const int bytes = there ? 16 : 0;
  if constexpr (kOnce) {
    uint64_t policy;
    asm("createpolicy.fractional.L2::evict_first.b64 %0, 0f3F800000;" : "=l"(policy));
    asm volatile("cp.async.cg.shared.global.L2::cache_hint [%0], [%1], 16, %2, %3;" ::"r"(address), "l"(from),
                 "r"(bytes), "l"(policy));
  } else {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(address), "l"(from), "r"(bytes));
  }
}

__device__ __forceinline__ void copyAsyncCommit() { asm volatile("cp.async.commit_group;"); }

template <int kPending>
__device__ __forceinline__ void copyAsyncWait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(kPending) : "memory");
}

__device__ __forceinline__ uint32_t halfPair(float low, float high) {
  uint32_t pair;
  asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
  return pair;
}

__device__ __forceinline__ uint16_t halfBits(float value) {
  uint16_t bits;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(value));
  return bits;
}

__device__ __forceinline__ float halfToFloat(uint16_t bits) {
  float value;
  asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(bits));
  return value;
}

__device__ __forceinline__ uint32_t halfFma2(uint32_t a, uint32_t b, uint32_t c) {
  uint32_t d;
  asm("fma.rn.f16x2 %0, %1, %2, %3;" : "=r"(d) : "r"(a), "r"(b), "r"(c));
  return d;
}

template <int kTable>
__device__ __forceinline__ uint32_t lop3(uint32_t a, uint32_t b, uint32_t c) {
  uint32_t d;
  asm("lop3.b32 %0, %1, %2, %3, %4;" : "=r"(d) : "r"(a), "r"(b), "r"(c), "n"(kTable));
  return d;
}

__device__ __forceinline__ float powerOfTwo(float x) {
  float power;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(power) : "f"(x));
  return power;
}

__device__ __forceinline__ void waitForPredecessor() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

__device__ __forceinline__ void letSuccessorStart() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;");
#endif
}

}  // namespace quipu::cuda

#elif defined(QUIPU_SIMT)
#include "simt/gpu.h"
#endif
