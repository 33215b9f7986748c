// Programmatic dependent launch: a grid that begins before the one before it has ended.
#include "harness.h"
#include "simt/gpu.h"
#include "simt/report.h"

namespace quipu::simt::test {

namespace {

enum Fault { kNone, kSeeded, kNoWait };

// y = x + 1, with a constant that is nobody's result, read before the wait.
template <Fault kFault>
__global__ void step(const float* one, const float* x, float* y) {
  const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
  const float add = one[threadIdx.x];
  letSuccessorStart();
  const float early = kFault == kSeeded ? x[i] : 0;  // seeded: read before the wait
  if (kFault != kNoWait) waitForPredecessor();
  y[i] = (kFault == kSeeded ? early : x[i]) + add;
}

template <Fault kFault>
__global__ void overwrite(const float* one, const float*, float* y) {
  const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
  if (kFault == kNone) waitForPredecessor();
  y[i] = one[threadIdx.x];  // seeded: written before the wait
  if (kFault == kSeeded) waitForPredecessor();
}

// One thread waits; the barrier tells the others.
__global__ void oneWaits(const float* one, const float* x, float* y) {
  const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
  if (threadIdx.x == 0) waitForPredecessor();
  __syncthreads();
  y[i] = x[i] + one[threadIdx.x];
}

// Lets the successor start after its own wait: what was before its predecessor is done then.
__global__ void lateStart(const float* one, const float* x, float* y) {
  const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
  waitForPredecessor();
  letSuccessorStart();
  y[i] = x[i] + one[threadIdx.x];
}

// Reads what the kernel before its predecessor wrote, before its wait.
__global__ void readsTwoBack(const float* x, const float* old, float* y) {
  const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
  const float early = old[i];  // seeded: read before the wait, of two kernels back
  waitForPredecessor();
  y[i] = x[i] + early;
}

using Kernel = void (*)(const float*, const float*, float*);

constexpr unsigned kBlocks = 3, kThreads = 32;
constexpr size_t kBytes = kBlocks * kThreads * sizeof(float);

Body chain(Kernel first, Kernel second, Kernel third, bool graph) {
  return [=] {
    Buffer one(kBytes), a(kBytes), b(kBytes), c(kBytes);
    one.write(std::vector<float>(kBlocks * kThreads, 1));
    cudaStream_t stream;
    cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
    cudaDeviceSynchronize();
    const Shape shape = {kBlocks, kThreads, 0, true, stream};
    cudaGraph_t captured = nullptr;
    cudaGraphExec_t exec = nullptr;
    if (graph) cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal);
    start(shape, first, one.as<const float>(), c.as<const float>(), a.as<float>());
    start(shape, second, one.as<const float>(), a.as<const float>(), b.as<float>());
    start(shape, third, one.as<const float>(), b.as<const float>(), c.as<float>());
    unsigned runs = 1;
    if (graph) {
      cudaStreamEndCapture(stream, &captured);
      cudaGraphInstantiate(&exec, captured);
      cudaGraphDestroy(captured);
      for (runs = 0; runs < 3; ++runs) cudaGraphLaunch(exec, stream);
    }
    const cudaError_t error = cudaStreamSynchronize(stream);
    cudaStreamDestroy(stream);
    if (graph) cudaGraphExecDestroy(exec);
    if (error != cudaSuccess) return;
    for (const float value : c.read<float>(kBlocks * kThreads)) SIMT_EXPECT(value == 3.0f * static_cast<float>(runs));
  };
}

// A kernel writes b, one reads it, a third overwrites it or reads what the first wrote.
Body overlap(Kernel second, Kernel third, bool twoBack) {
  return [=] {
    Buffer one(kBytes), a(kBytes), b(kBytes), c(kBytes);
    cudaStream_t stream;
    cudaStreamCreate(&stream);
    cudaDeviceSynchronize();
    const Shape shape = {kBlocks, kThreads, 0, true, stream};
    start(shape, step<kNone>, one.as<const float>(), c.as<const float>(), a.as<float>());
    start(shape, second, one.as<const float>(), a.as<const float>(), b.as<float>());
    start(shape, third, (twoBack ? b : one).as<const float>(), a.as<const float>(), (twoBack ? c : a).as<float>());
    cudaStreamSynchronize(stream);
    cudaStreamDestroy(stream);
  };
}

}  // namespace

void testDependent() {
  for (const bool graph : {false, true}) {
    expectClean("a chain", chain(step<kNone>, step<kNone>, step<kNone>, graph));
    expectClean("a chain where one thread waits", chain(step<kNone>, oneWaits, lateStart, graph));
    expectFinding(__FILE__, "read before the wait", finding::kPredecessor,
                  chain(step<kNone>, step<kSeeded>, step<kNone>, graph));
  }
  expectFinding(__FILE__, "written before the wait", finding::kPredecessor,
                overlap(step<kNone>, overwrite<kSeeded>, false));
  expectClean("written behind the wait", overlap(step<kNone>, overwrite<kNone>, false));
  expectFinding(__FILE__, "read before the wait, of two kernels back", finding::kPredecessor,
                overlap(step<kNone>, readsTwoBack, true));
  expectClean("read before the wait, of two kernels back, which are known to be done",
              overlap(lateStart, readsTwoBack, true));

  printReports(false);
  eachSeed(8, [](uint64_t) {
    clearReport();
    chain(step<kNone>, step<kNoWait>, step<kNone>, false)();
    SIMT_EXPECT(cudaDeviceSynchronize() == cudaErrorLaunchFailure);
    SIMT_EXPECT(lastReport().find("simt: " + std::string(finding::kPredecessor)) == 0);
  });
  printReports(true);
}

}  // namespace quipu::simt::test
