// The host's side: order in streams, what is seen without waiting, captures, errors.
#include <algorithm>
#include <cstring>

#include "harness.h"
#include "simt/gpu.h"
#include "simt/report.h"
#include "simt/settings.h"

namespace quipu::simt::test {

namespace {

__global__ void increment(unsigned* x) { atomicAdd(x, 1u); }

__global__ void order(unsigned* turn, unsigned* out) { out[blockIdx.x * 32 + threadIdx.x] = atomicAdd(turn, 1u); }

__global__ void wrong(unsigned* x) { x[64] = 1; }

__global__ void large(unsigned* x) {
  DYNAMIC_SHARED(raw);
  raw[threadIdx.x] = std::byte{1};
  x[threadIdx.x] = static_cast<unsigned>(raw[threadIdx.x]);
}

// Pinned memory is filled when the copy has been waited for, and not before where the device is slow.
void testAsynchrony() {
  uint64_t stale = 0, early = 0;
  eachSeed(16, [&](uint64_t) {
    Buffer x(4 << 10);
    unsigned *to = nullptr, *from = nullptr;
    cudaMallocHost(&to, 4 << 10);
    cudaMallocHost(&from, 4 << 10);
    cudaStream_t stream;
    cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
    cudaEvent_t event;
    cudaEventCreateWithFlags(&event, cudaEventDisableTiming);
    cudaDeviceSynchronize();
    from[0] = 7;
    to[0] = 0;
    cudaMemcpyAsync(x.as<void>(), from, 4 << 10, cudaMemcpyHostToDevice, stream);
    start({1, 32, 0, false, stream}, increment, x.as<unsigned>());
    cudaMemcpyAsync(to, x.as<void>(), 4 << 10, cudaMemcpyDeviceToHost, stream);
    cudaEventRecord(event, stream);
    early += to[0] == 0;
    SIMT_EXPECT(cudaEventSynchronize(event) == cudaSuccess);
    SIMT_EXPECT(cudaEventQuery(event) == cudaSuccess);
    SIMT_EXPECT(to[0] == 39);
    // A source that is changed before the copy was waited for.
    from[0] = 1;
    cudaMemcpyAsync(x.as<void>(), from, 4, cudaMemcpyHostToDevice, stream);
    from[0] = 2;
    cudaStreamSynchronize(stream);
    stale += x.read<unsigned>(1)[0] == 2;
    // Memory that is not pinned is the driver's business: it may be changed at once.
    unsigned plain = 5;
    cudaMemcpyAsync(x.as<void>(), &plain, 4, cudaMemcpyHostToDevice, stream);
    plain = 6;
    cudaMemcpyAsync(&plain, x.as<void>(), 4, cudaMemcpyDeviceToHost, stream);
    SIMT_EXPECT(plain == 5);
    cudaEventDestroy(event);
    cudaStreamDestroy(stream);
    cudaFreeHost(to);
    cudaFreeHost(from);
  });
  SIMT_EXPECT(early >= 8 && stale >= 8);  // odd seeds leave work lying until it is waited for
}

// Two streams are ordered by an event alone.
void testStreams() {
  uint64_t unordered = 0;
  for (const bool waits : {true, false}) {
    eachSeed(32, [&](uint64_t) {
      Buffer x(4);
      unsigned* to = nullptr;
      cudaMallocHost(&to, 4);
      cudaStream_t first, second;
      cudaStreamCreateWithFlags(&first, cudaStreamNonBlocking);
      cudaStreamCreateWithFlags(&second, cudaStreamNonBlocking);
      cudaEvent_t event;
      cudaEventCreate(&event);
      cudaDeviceSynchronize();
      for (int i = 0; i < 4; ++i) start({1, 32, 0, false, first}, increment, x.as<unsigned>());
      cudaEventRecord(event, first);
      if (waits) cudaStreamWaitEvent(second, event);
      cudaMemcpyAsync(to, x.as<void>(), 4, cudaMemcpyDeviceToHost, second);
      cudaStreamSynchronize(second);
      if (waits) SIMT_EXPECT(*to == 128);
      unordered += *to != 128;
      cudaDeviceSynchronize();
      float milliseconds = -1;
      SIMT_EXPECT(cudaEventElapsedTime(&milliseconds, event, event) == cudaSuccess && milliseconds == 0);
      cudaEventDestroy(event);
      cudaStreamDestroy(first);
      cudaStreamDestroy(second);
      cudaFreeHost(to);
    });
  }
  SIMT_EXPECT(unordered > 0);
}

void testCapture() {
  eachSeed(8, [](uint64_t) {
    Buffer x(4);
    cudaStream_t stream;
    cudaStreamCreate(&stream);
    cudaGraph_t graph = nullptr;
    SIMT_EXPECT(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal) == cudaSuccess);
    cudaStreamCaptureStatus status;
    SIMT_EXPECT(cudaStreamIsCapturing(stream, &status) == cudaSuccess && status == cudaStreamCaptureStatusActive);
    start({2, 32, 0, false, stream}, increment, x.as<unsigned>());
    SIMT_EXPECT(cudaStreamEndCapture(stream, &graph) == cudaSuccess && graph != nullptr);
    SIMT_EXPECT(x.read<unsigned>(1)[0] == 0);  // recorded, not run
    cudaGraphExec_t exec;
    SIMT_EXPECT(cudaGraphInstantiate(&exec, graph) == cudaSuccess);
    SIMT_EXPECT(cudaGraphDestroy(graph) == cudaSuccess);
    for (int i = 0; i < 3; ++i) cudaGraphLaunch(exec, stream);
    cudaStreamSynchronize(stream);
    SIMT_EXPECT(x.read<unsigned>(1)[0] == 192);
    cudaGraphExecDestroy(exec);
    // What a capture cannot have ends it.
    for (const int call : {0, 1, 2}) {
      cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal);
      void* memory = nullptr;
      const cudaError_t refused = call == 0 ? cudaMalloc(&memory, 4)
                                  : call == 1
                                      ? cudaStreamSynchronize(stream)
                                      : cudaMemcpyAsync(&memory, x.as<void>(), 4, cudaMemcpyDeviceToHost, stream);
      SIMT_EXPECT(refused == cudaErrorStreamCaptureUnsupported);
      SIMT_EXPECT(cudaStreamEndCapture(stream, &graph) == cudaErrorStreamCaptureInvalidated && graph == nullptr);
    }
    SIMT_EXPECT(cudaGetLastError() == cudaErrorStreamCaptureInvalidated && cudaGetLastError() == cudaSuccess);
    cudaStreamDestroy(stream);
  });
}

// A detector's finding stays, as a device's fault does, until the device is reset.
void testErrors() {
  printReports(false);
  eachSeed(6, [](uint64_t seed) {
    unsigned* x = nullptr;
    cudaMalloc(&x, 256);
    SIMT_EXPECT(start({1, 32}, wrong, x) == cudaSuccess);
    SIMT_EXPECT(cudaDeviceSynchronize() == cudaErrorLaunchFailure);
    SIMT_EXPECT(cudaMalloc(&x, 4) == cudaErrorLaunchFailure && cudaGetLastError() == cudaErrorLaunchFailure);
    SIMT_EXPECT(cudaGetLastError() == cudaErrorLaunchFailure);
    cudaDeviceReset();
    settings().loseAt = 0;
    SIMT_EXPECT(cudaMalloc(&x, 256) == cudaSuccess && cudaGetLastError() == cudaSuccess);

    cudaLaunchConfig_t config = {};
    config.gridDim = 1;
    config.blockDim = 1025;
    SIMT_EXPECT(cudaLaunchKernelEx(&config, increment, x) == cudaErrorInvalidConfiguration);
    config.blockDim = 32;
    config.gridDim = dim3(1, 65536);
    SIMT_EXPECT(cudaLaunchKernelEx(&config, increment, x) == cudaErrorInvalidConfiguration);
    config.gridDim = 1;
    config.dynamicSmemBytes = 49 * 1024;
    // Allowed once for a kernel, it stays so.
    if (seed == 0) SIMT_EXPECT(cudaLaunchKernelEx(&config, large, x) == cudaErrorInvalidValue);
    SIMT_EXPECT(cudaFuncSetAttribute(large, cudaFuncAttributeMaxDynamicSharedMemorySize, 228 * 1024) ==
                cudaErrorInvalidValue);
    SIMT_EXPECT(cudaFuncSetAttribute(large, cudaFuncAttributeMaxDynamicSharedMemorySize, 49 * 1024) == cudaSuccess);
    SIMT_EXPECT(cudaLaunchKernelEx(&config, large, x) == cudaSuccess);
    SIMT_EXPECT(cudaDeviceSynchronize() == cudaSuccess);
    (void)cudaGetLastError();
    SIMT_EXPECT(cudaMemcpy(x, x + 63, 8, cudaMemcpyDeviceToDevice) == cudaErrorInvalidValue);
    SIMT_EXPECT(cudaMemset(x, 0, 257) == cudaErrorInvalidValue);
    SIMT_EXPECT(cudaFree(x + 1) == cudaErrorInvalidValue);
    SIMT_EXPECT(strcmp(cudaGetErrorName(cudaErrorMemoryAllocation), "cudaErrorMemoryAllocation") == 0);
  });
  printReports(true);

  const Settings before = settings();
  settings().memory = 1 << 20;
  void *memory = nullptr, *more = nullptr;
  size_t free = 0, total = 0;
  SIMT_EXPECT(cudaMalloc(&memory, 1 << 19) == cudaSuccess && cudaMalloc(&more, 1 << 20) == cudaErrorMemoryAllocation);
  SIMT_EXPECT(more == nullptr && cudaMemGetInfo(&free, &total) == cudaSuccess && total == 1 << 20);
  SIMT_EXPECT(free == 1 << 19 && cudaFree(memory) == cudaSuccess);
  SIMT_EXPECT(cudaMemGetInfo(&free, &total) == cudaSuccess && free == total);
  settings().driver = 12080;
  int count = -1;
  SIMT_EXPECT(cudaGetDeviceCount(&count) == cudaErrorInsufficientDriver && count == 0);
  settings() = before;
  settings().devices = 0;
  SIMT_EXPECT(cudaGetDeviceCount(&count) == cudaErrorNoDevice && cudaMalloc(&memory, 4) == cudaErrorNoDevice);
  settings() = before;
  (void)cudaGetLastError();
}

std::vector<unsigned> turns(uint64_t seed) {
  settings().seed = seed;
  Buffer turn(4), out(8 * 32 * 4);
  start({8, 32}, order, turn.as<unsigned>(), out.as<unsigned>());
  return out.read<unsigned>(256);
}

// Seeds are schedules: they differ, and none is two.
void testSchedules() {
  std::vector<std::vector<unsigned>> seen;
  for (uint64_t seed = 0; seed < 8; ++seed) seen.push_back(turns(seed));
  std::sort(seen.begin(), seen.end());
  SIMT_EXPECT(std::adjacent_find(seen.begin(), seen.end()) == seen.end());
  settings().seed = 0;
}

}  // namespace

void testRuntime() {
  testAsynchrony();
  testStreams();
  testCapture();
  testErrors();
  testSchedules();
}

}  // namespace quipu::simt::test
