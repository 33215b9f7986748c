// The calls of the CUDA runtime (host_api.h), but for memory.
#include <algorithm>
#include <chrono>
#include <cstring>
#include <mutex>
#include <unordered_map>

#include "simt/call.h"
#include "simt/host_api.h"
#include "simt/settings.h"
#include "simt/stream.h"

namespace quipu::simt {

namespace {

constexpr int kRuntimeVersion = 13000;
constexpr size_t kSharedByDefault = 48 * 1024;

thread_local cudaError_t lastError = cudaSuccess;
thread_local int device = 0;

std::mutex attributesMutex;
std::unordered_map<const void*, size_t> dynamicShared;  // what cudaFuncSetAttribute has allowed

struct Name {
  cudaError_t error;
  const char* name;
  const char* text;
};

constexpr Name kNames[] = {
    {cudaSuccess, "cudaSuccess", "no error"},
    {cudaErrorInvalidValue, "cudaErrorInvalidValue", "invalid argument"},
    {cudaErrorMemoryAllocation, "cudaErrorMemoryAllocation", "out of memory"},
    {cudaErrorInitializationError, "cudaErrorInitializationError", "initialization error"},
    {cudaErrorInvalidConfiguration, "cudaErrorInvalidConfiguration", "invalid configuration argument"},
    {cudaErrorInvalidDevicePointer, "cudaErrorInvalidDevicePointer", "invalid device pointer"},
    {cudaErrorInsufficientDriver, "cudaErrorInsufficientDriver",
     "CUDA driver version is insufficient for CUDA runtime version"},
    {cudaErrorInvalidDeviceFunction, "cudaErrorInvalidDeviceFunction", "invalid device function"},
    {cudaErrorNoDevice, "cudaErrorNoDevice", "no CUDA-capable device is detected"},
    {cudaErrorInvalidDevice, "cudaErrorInvalidDevice", "invalid device ordinal"},
    {cudaErrorNoKernelImageForDevice, "cudaErrorNoKernelImageForDevice",
     "no kernel image is available for execution on the device"},
    {cudaErrorInvalidResourceHandle, "cudaErrorInvalidResourceHandle", "invalid resource handle"},
    {cudaErrorNotReady, "cudaErrorNotReady", "device not ready"},
    {cudaErrorIllegalAddress, "cudaErrorIllegalAddress", "an illegal memory access was encountered"},
    {cudaErrorLaunchOutOfResources, "cudaErrorLaunchOutOfResources", "too many resources requested for launch"},
    {cudaErrorLaunchFailure, "cudaErrorLaunchFailure", "unspecified launch failure"},
    {cudaErrorNotSupported, "cudaErrorNotSupported", "operation not supported"},
    {cudaErrorStreamCaptureUnsupported, "cudaErrorStreamCaptureUnsupported",
     "operation not permitted when stream is capturing"},
    {cudaErrorStreamCaptureInvalidated, "cudaErrorStreamCaptureInvalidated",
     "operation failed due to a previous error during capture"},
    {cudaErrorStreamCaptureUnmatched, "cudaErrorStreamCaptureUnmatched", "capture was not ended by its thread"},
    {cudaErrorStreamCaptureImplicit, "cudaErrorStreamCaptureImplicit",
     "operation would make the legacy stream depend on a capturing blocking stream"},
    {cudaErrorUnknown, "cudaErrorUnknown", "unknown error"},
};

const Name& nameOfError(cudaError_t error) {
  for (const Name& name : kNames) {
    if (name.error == error) return name;
  }
  return kNames[std::size(kNames) - 1];
}

cudaError_t openStream(cudaStream_t* stream, unsigned flags) {
  return call([&] {
    if (stream == nullptr) return cudaErrorInvalidValue;
    *stream = executor().open(flags != cudaStreamNonBlocking);
    return cudaSuccess;
  });
}

}  // namespace

cudaError_t noted(cudaError_t error) {
  if (error != cudaSuccess && error != cudaErrorNotReady) lastError = error;
  return error;
}

cudaError_t stateOfMachine() {
  if (settings().driver / 1000 < kRuntimeVersion / 1000) return cudaErrorInsufficientDriver;
  if (settings().devices == 0) return cudaErrorNoDevice;
  return executor().lost();
}

int currentDevice() { return device; }

cudaError_t launch(const cudaLaunchConfig_t& config, const void* kernel, std::shared_ptr<const Call> arguments) {
  return call([&] {
    if (!executor().knows(config.stream)) return cudaErrorInvalidResourceHandle;
    const dim3 &grid = config.gridDim, &block = config.blockDim;
    const bool blockFits = block.x >= 1 && block.y >= 1 && block.z >= 1 && block.x <= 1024 && block.y <= 1024 &&
                           block.z <= 64 && size_t{block.x} * block.y * block.z <= 1024;
    const bool gridFits =
        grid.x >= 1 && grid.y >= 1 && grid.z >= 1 && grid.x <= 0x7fffffff && grid.y <= 65535 && grid.z <= 65535;
    if (!blockFits || !gridFits) return cudaErrorInvalidConfiguration;
    size_t allowed = kSharedByDefault;
    {
      const std::lock_guard lock(attributesMutex);
      if (const auto found = dynamicShared.find(kernel); found != dynamicShared.end()) {
        allowed = std::max(allowed, found->second);
      }
    }
    if (config.dynamicSmemBytes > allowed) return cudaErrorInvalidValue;
    bool programmatic = false;
    for (unsigned i = 0; i < config.numAttrs; ++i) {
      if (config.attrs[i].id != cudaLaunchAttributeProgrammaticStreamSerialization) return cudaErrorNotSupported;
      programmatic = config.attrs[i].val.programmaticStreamSerializationAllowed != 0;
    }
    return executor().add(
        config.stream, {std::make_shared<const Launch>(
                            Launch{kernel, std::move(arguments), grid, block, config.dynamicSmemBytes, programmatic}),
                        nullptr});
  });
}

}  // namespace quipu::simt

using namespace quipu::simt;

extern "C" {

cudaError_t cudaGetDeviceCount(int* count) {
  const cudaError_t state = stateOfMachine();
  *count = state == cudaSuccess ? settings().devices : 0;
  return noted(state);
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int which) {
  return call([&] {
    if (properties == nullptr) return cudaErrorInvalidValue;
    if (which < 0 || which >= settings().devices) return cudaErrorInvalidDevice;
    *properties = {};
    strcpy(properties->name, "simt emulator");
    properties->totalGlobalMem = settings().memory;
    properties->sharedMemPerBlock = kSharedByDefault;
    properties->sharedMemPerBlockOptin = sharedLimit();
    properties->sharedMemPerMultiprocessor = sharedLimit() + 1024;
    properties->regsPerBlock = 65536;
    properties->warpSize = 32;
    properties->maxThreadsPerBlock = 1024;
    properties->maxThreadsDim[0] = properties->maxThreadsDim[1] = 1024;
    properties->maxThreadsDim[2] = 64;
    properties->maxGridSize[0] = 0x7fffffff;
    properties->maxGridSize[1] = properties->maxGridSize[2] = 65535;
    properties->major = settings().major;
    properties->minor = settings().minor;
    properties->multiProcessorCount = 4;
    properties->pciBusID = which + 1;
    properties->asyncEngineCount = 1;
    properties->unifiedAddressing = 1;
    properties->memoryBusWidth = 128;
    properties->l2CacheSize = 4 << 20;
    properties->maxThreadsPerMultiProcessor = 2048;
    properties->maxBlocksPerMultiProcessor = 32;
    return cudaSuccess;
  });
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int which) {
  cudaDeviceProp p;
  if (const cudaError_t error = cudaGetDeviceProperties(&p, which); error != cudaSuccess) return error;
  switch (attribute) {
    case cudaDevAttrMaxThreadsPerBlock:
      *value = p.maxThreadsPerBlock;
      break;
    case cudaDevAttrMaxSharedMemoryPerBlock:
      *value = static_cast<int>(p.sharedMemPerBlock);
      break;
    case cudaDevAttrMultiProcessorCount:
      *value = p.multiProcessorCount;
      break;
    case cudaDevAttrL2CacheSize:
      *value = p.l2CacheSize;
      break;
    case cudaDevAttrComputeCapabilityMajor:
      *value = p.major;
      break;
    case cudaDevAttrComputeCapabilityMinor:
      *value = p.minor;
      break;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
      *value = static_cast<int>(p.sharedMemPerBlockOptin);
      break;
    default:
      return noted(cudaErrorInvalidValue);
  }
  return cudaSuccess;
}

cudaError_t cudaSetDevice(int which) {
  return call([&] {
    if (which < 0 || which >= settings().devices) return cudaErrorInvalidDevice;
    device = which;
    return cudaSuccess;
  });
}

cudaError_t cudaGetDevice(int* which) {
  *which = device;
  return cudaSuccess;
}

cudaError_t cudaDriverGetVersion(int* version) {
  *version = settings().driver;
  return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = kRuntimeVersion;
  return cudaSuccess;
}

cudaError_t cudaDeviceSynchronize() {
  return call([] {
    const cudaError_t refused = executor().refuseInCapture();
    return refused != cudaSuccess ? refused : executor().waitForAll();
  });
}

cudaError_t cudaDeviceReset() {
  executor().waitForAll();
  executor().reset();
  lastError = cudaSuccess;
  return cudaSuccess;
}

cudaError_t cudaStreamCreate(cudaStream_t* stream) { return openStream(stream, cudaStreamDefault); }
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags) { return openStream(stream, flags); }
cudaError_t cudaStreamCreateWithPriority(cudaStream_t* stream, unsigned flags, int) {
  return openStream(stream, flags);
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  if (stream == nullptr || !executor().knows(stream)) return noted(cudaErrorInvalidResourceHandle);
  executor().close(stream);
  return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  return onStream(stream, [&] { return executor().waitForStream(stream); });
}

cudaError_t cudaStreamQuery(cudaStream_t stream) {
  return onStream(stream, [&] { return executor().isIdle(stream); });
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  return onStream(stream, [&] {
    if (event == nullptr) return cudaErrorInvalidResourceHandle;
    if (event->op == nullptr) return cudaSuccess;
    return executor().add(stream, {nullptr, [] {}}, false, {event->op});
  });
}

cudaError_t cudaLaunchHostFunc(cudaStream_t stream, void (*function)(void*), void* argument) {
  return onStream(stream, [&] { return executor().add(stream, {nullptr, [=] { function(argument); }}); });
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags) {
  return call([&] {
    if (event == nullptr) return cudaErrorInvalidValue;
    *event = new Event((flags & cudaEventDisableTiming) == 0);
    return cudaSuccess;
  });
}

cudaError_t cudaEventCreate(cudaEvent_t* event) { return cudaEventCreateWithFlags(event, cudaEventDefault); }

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  if (event == nullptr) return noted(cudaErrorInvalidResourceHandle);
  delete event;
  return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  return onStream(
      stream, [&] { return event == nullptr ? cudaErrorInvalidResourceHandle : executor().record(stream, *event); });
}

cudaError_t cudaEventQuery(cudaEvent_t event) {
  return call([&] { return event == nullptr ? cudaErrorInvalidResourceHandle : executor().isDone(event->op); });
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  return call([&] { return event == nullptr ? cudaErrorInvalidResourceHandle : executor().waitFor(event->op); });
}

cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t start, cudaEvent_t end) {
  return call([&] {
    if (start == nullptr || end == nullptr) return cudaErrorInvalidResourceHandle;
    if (!start->timed || !end->timed || start->op == nullptr || end->op == nullptr) {
      return cudaErrorInvalidResourceHandle;
    }
    for (const Event* event : {start, end}) {
      if (const cudaError_t state = executor().isDone(event->op); state != cudaSuccess) return state;
    }
    *milliseconds = std::chrono::duration<float, std::milli>(end->op->doneAt - start->op->doneAt).count();
    return cudaSuccess;
  });
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode) {
  return onStream(stream, [&] { return executor().beginCapture(stream, mode); });
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  return onStream(stream, [&] {
    std::unique_ptr<Graph> captured;
    const cudaError_t error = executor().endCapture(stream, captured);
    *graph = captured.release();
    return error;
  });
}

cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus* status) {
  return onStream(stream, [&] {
    *status = executor().captureOf(stream);
    return cudaSuccess;
  });
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* exec, cudaGraph_t graph, unsigned long long) {
  return call([&] {
    if (exec == nullptr || graph == nullptr) return cudaErrorInvalidValue;
    *exec = new Graph(*graph);
    return cudaSuccess;
  });
}

cudaError_t cudaGraphUpload(cudaGraphExec_t exec, cudaStream_t stream) {
  return onStream(stream, [&] { return exec == nullptr ? cudaErrorInvalidValue : cudaSuccess; });
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream) {
  return onStream(stream, [&] { return exec == nullptr ? cudaErrorInvalidValue : executor().add(stream, *exec); });
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec) {
  delete exec;
  return cudaSuccess;
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete graph;
  return cudaSuccess;
}

cudaError_t cudaGetLastError() {
  const cudaError_t error = cudaPeekAtLastError();
  lastError = cudaSuccess;
  return error;
}

cudaError_t cudaPeekAtLastError() {
  const cudaError_t state = executor().lost();
  return state != cudaSuccess ? state : lastError;
}

const char* cudaGetErrorString(cudaError_t error) { return nameOfError(error).text; }
const char* cudaGetErrorName(cudaError_t error) { return nameOfError(error).name; }

// A GPU older than 8.0 has no image of a kernel.
cudaError_t cudaFuncGetAttributes(cudaFuncAttributes* attributes, const void* kernel) {
  return call([&] {
    if (kernel == nullptr) return cudaErrorInvalidDeviceFunction;
    if (settings().major < 8) return cudaErrorNoKernelImageForDevice;
    *attributes = {};
    attributes->maxThreadsPerBlock = 1024;
    return cudaSuccess;
  });
}

cudaError_t cudaFuncSetAttribute(const void* kernel, cudaFuncAttribute attribute, int value) {
  return call([&] {
    if (kernel == nullptr) return cudaErrorInvalidDeviceFunction;
    if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize) return cudaSuccess;
    if (value < 0 || static_cast<size_t>(value) > sharedLimit()) return cudaErrorInvalidValue;
    const std::lock_guard lock(attributesMutex);
    dynamicShared[kernel] = static_cast<size_t>(value);
    return cudaSuccess;
  });
}
}
