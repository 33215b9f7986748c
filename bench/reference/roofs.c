// The roofs of a CPU, written apart from native/cpu/roofs.cc and its loops, to hold those against (bench/roofs.js):
//
//   cc -O2 -march=native -pthread roofs.c -o roofs && ./roofs avx2|avx-vnni|avx512|avx512-vnni THREADS
//
// prints GB/s of reading, GFLOP/s of multiply-adds and GOP/s of products of bytes, each the best of several rounds.
// Reading is addition of 64-bit words over 1 GiB in huge pages and in small ones, in blocks that threads take by turns;
// the peaks are chains of instructions in assembly.
#define _GNU_SOURCE
#include <immintrin.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

enum { kMegabyte = 1 << 20, kMegabytes = 1024, kMostThreads = 256 };
static char* memory;
static int threads, distance, block;  // bytes ahead, 0: none; megabytes of a block
static volatile uint64_t sink;
static pthread_barrier_t begin;
static double begun[kMostThreads], finished[kMostThreads];
static void (*work)(int);

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + 1e-9 * t.tv_nsec;
}

static void* threadMain(void* argument) {
  const int index = (int)(intptr_t)argument;
  pthread_barrier_wait(&begin);
  begun[index] = now();
  work(index);
  finished[index] = now();
  return NULL;
}

// Seconds from the moment that the first thread begins until the last one is done.
static double timed(void (*body)(int)) {
  pthread_t started[kMostThreads];
  work = body;
  pthread_barrier_init(&begin, NULL, threads);
  for (int i = 0; i < threads; ++i) {
    if (pthread_create(&started[i], NULL, threadMain, (void*)(intptr_t)i) != 0) exit(1);
  }
  double first = 1e300, last = 0;
  for (int i = 0; i < threads; ++i) {
    pthread_join(started[i], NULL);
    if (begun[i] < first) first = begun[i];
    if (finished[i] > last) last = finished[i];
  }
  pthread_barrier_destroy(&begin);
  return last - first;
}

static void readBlocks(int index) {
  __m256i sums[4] = {0};
  for (int first = index * block; first < kMegabytes; first += threads * block) {
    const char* p = memory + (size_t)first * kMegabyte;
    for (const char* end = p + (size_t)block * kMegabyte; p < end; p += 128) {
      if (distance > 0) {
        _mm_prefetch(p + distance, _MM_HINT_T0);
        _mm_prefetch(p + distance + 64, _MM_HINT_T0);
      }
      for (int i = 0; i < 4; ++i) sums[i] = _mm256_add_epi64(sums[i], _mm256_load_si256((const __m256i*)(p + 32 * i)));
    }
  }
  for (int i = 1; i < 4; ++i) sums[0] = _mm256_add_epi64(sums[0], sums[i]);
  sink += (uint64_t)_mm256_extract_epi64(sums[0], 0);
}

static void fill(int index) {
  memset(memory + (size_t)index * (kMegabytes / threads) * kMegabyte, index + 1,
         (size_t)(kMegabytes / threads) * kMegabyte);
}

// Blocks of 16 MiB of both threads lie side by side, blocks of half the memory far apart.
static double readBandwidth(void) {
  double best = 1e9;
  for (int huge = 0; huge < 2; ++huge) {
    memory =
        mmap(NULL, (size_t)(kMegabytes + 2) * kMegabyte, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) exit(1);
    madvise(memory, (size_t)(kMegabytes + 2) * kMegabyte, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
    timed(fill);
    const int distances[] = {0, 512, 1024, 2048, 4096, 8192}, blocks[] = {16, kMegabytes / threads};
    for (int round = 0; round < 3; ++round) {
      for (int b = 0; b < 2; ++b) {
        for (int d = 0; d < 6; ++d) {
          block = blocks[b];
          distance = distances[d];
          const double time = timed(readBlocks);
          if (time < best) best = time;
        }
      }
    }
    munmap(memory, (size_t)(kMegabytes + 2) * kMegabyte);
  }
  return (double)kMegabytes * kMegabyte / best / 1e9;
}

#define TWELVE(f) f(0) f(1) f(2) f(3) f(4) f(5) f(6) f(7) f(8) f(9) f(10) f(11)
#define SIX(f) f(0) f(1) f(2) f(3) f(4) f(5)
#define CLOBBERS                                                                                                      \
  "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", \
      "xmm14", "xmm15"
#define CHAIN(name, text, registersUsed)                                     \
  static void name(int index) {                                              \
    (void)index;                                                             \
    __asm__ volatile("vzeroall\n" : : : CLOBBERS);                           \
    for (int i = 0; i < kRounds; ++i) __asm__ volatile(text : : : CLOBBERS); \
    __asm__ volatile("vzeroupper\n" : : : CLOBBERS);                         \
  }
enum { kRounds = 1000000 };
#define FMA256(i) "vfmadd231ps %%ymm14, %%ymm15, %%ymm" #i "\n"
#define FMA512(i) "vfmadd231ps %%zmm14, %%zmm15, %%zmm" #i "\n"
#define DOT256(i) "%{vex%} vpdpbusd %%ymm14, %%ymm15, %%ymm" #i "\n"
#define DOT512(i) "vpdpbusd %%zmm14, %%zmm15, %%zmm" #i "\n"
// Eight products into one register of sixteen-bit sums, which go to the wide ones after that.
#define PAIR256(i) "vpmaddubsw %%ymm14, %%ymm15, %%ymm12\nvpaddw %%ymm12, %%ymm" #i ", %%ymm" #i "\n"
#define PAIR512(i) "vpmaddubsw %%zmm14, %%zmm15, %%zmm12\nvpaddw %%zmm12, %%zmm" #i ", %%zmm" #i "\n"
#define WIDE256(i) "vpmaddwd %%ymm14, %%ymm" #i ", %%ymm12\nvpaddd %%ymm12, %%ymm13, %%ymm13\n"
#define WIDE512(i) "vpmaddwd %%zmm14, %%zmm" #i ", %%zmm12\nvpaddd %%zmm12, %%zmm13, %%zmm13\n"
#define EIGHT(f) SIX(f) SIX(f) SIX(f) SIX(f) SIX(f) SIX(f) SIX(f) SIX(f)
CHAIN(fma256, TWELVE(FMA256), 12)
CHAIN(fma512, TWELVE(FMA512), 12)
CHAIN(dot256, TWELVE(DOT256), 12)
CHAIN(dot512, TWELVE(DOT512), 12)
CHAIN(pairs256, EIGHT(PAIR256) SIX(WIDE256), 6)
CHAIN(pairs512, EIGHT(PAIR512) SIX(WIDE512), 6)

static double peak(void (*body)(int), double operationsOfRound) {
  double best = 1e9;
  for (int round = 0; round < 20; ++round) {
    const double time = timed(body);
    if (time < best) best = time;
  }
  return operationsOfRound * kRounds * threads / best / 1e9;
}

int main(int count, char** arguments) {
  const char* target = count == 3 ? arguments[1] : "";
  threads = count == 3 ? atoi(arguments[2]) : 0;
  const int wide = strncmp(target, "avx512", 6) == 0, vnni = strcmp(target, "avx512-vnni") == 0;
  const int narrowVnni = strcmp(target, "avx-vnni") == 0;
  if (threads < 1 || threads > kMostThreads || (!wide && !narrowVnni && strcmp(target, "avx2") != 0)) {
    fprintf(stderr, "usage: roofs avx2|avx-vnni|avx512|avx512-vnni THREADS\n");
    return 2;
  }
  const double read = readBandwidth();
  const double flops = wide ? peak(fma512, 12 * 16 * 2) : peak(fma256, 12 * 8 * 2);
  const double products = vnni         ? peak(dot512, 12 * 64 * 2)
                          : narrowVnni ? peak(dot256, 12 * 32 * 2)
                          : wide       ? peak(pairs512, 48 * 64 * 2)
                                       : peak(pairs256, 48 * 32 * 2);
  printf("%.2f %.2f %.2f\n", read, flops, products);
  return 0;
}
