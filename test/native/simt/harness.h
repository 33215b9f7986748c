// How the emulator's detectors are tested: kernels with a fault that is seeded, each of which has to be named by every
// one of some schedules, and the same kernels without it, which stay clean in more of them.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "simt/host_api.h"

namespace quipu::simt::test {

#define SIMT_EXPECT(condition)                                                                 \
  do {                                                                                         \
    if (!(condition)) ::quipu::simt::test::failed(__FILE__, __LINE__, "expected " #condition); \
  } while (false)

// Notes a failure; the process ends with status 1 after all tests.
void failed(const char* file, int line, const std::string& what);
uint64_t failures();

// Memory of the device for one test, freed with it.
class Buffer {
 public:
  explicit Buffer(size_t bytes, int fill = 0);  // fill < 0: as cudaMalloc leaves it
  ~Buffer();
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  template <typename T>
  T* as() const {
    return static_cast<T*>(data_);
  }
  template <typename T>
  std::vector<T> read(size_t count) const {
    std::vector<T> values(count);
    cudaMemcpy(values.data(), data_, count * sizeof(T), cudaMemcpyDeviceToHost);
    return values;
  }
  template <typename T>
  void write(const std::vector<T>& values) {
    cudaMemcpy(data_, values.data(), values.size() * sizeof(T), cudaMemcpyHostToDevice);
  }

 private:
  void* data_ = nullptr;
};

struct Shape {
  dim3 grid = 1;
  unsigned threads = 32;
  size_t dynamicShared = 0;
  bool programmatic = false;
  cudaStream_t stream = nullptr;
};

template <typename... Parameters, typename... Arguments>
cudaError_t start(const Shape& shape, void (*kernel)(Parameters...), Arguments... arguments) {
  cudaLaunchAttribute attribute = {};
  attribute.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  attribute.val.programmaticStreamSerializationAllowed = 1;
  cudaLaunchConfig_t config = {};
  config.gridDim = shape.grid;
  config.blockDim = shape.threads;
  config.dynamicSmemBytes = shape.dynamicShared;
  config.stream = shape.stream;
  config.attrs = &attribute;
  config.numAttrs = shape.programmatic ? 1 : 0;
  return cudaLaunchKernelEx(&config, kernel, static_cast<Parameters>(arguments)...);
}

using Body = std::function<void()>;

// Launches of `body` end as the finding says, at the line of `file` that has "seeded: MARK" in it, whatever the seed.
void expectFinding(const char* file, const std::string& mark, const char* finding, const Body& body);
// No detector finds anything, whatever the seed.
void expectClean(const char* name, const Body& body);
// As it is with each of `seeds` seeds.
void eachSeed(uint64_t seeds, const std::function<void(uint64_t)>& body);

void testMemory();
void testSharing();
void testMeetings();
void testBlocks();
void testDependent();
void testTensor();
void testNumbers();
void testRuntime();

}  // namespace quipu::simt::test
