// The calls of the CUDA runtime that are about memory.
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>

#include "simt/call.h"
#include "simt/host_api.h"
#include "simt/machine_memory.h"
#include "simt/settings.h"
#include "simt/stream.h"

namespace quipu::simt {

namespace {

// Pinned memory of the host: copies with it are asynchronous.
class Pinned {
 public:
  void* allocate(size_t bytes) {
    void* memory = aligned_alloc(4096, (bytes + 4095) / 4096 * 4096);
    if (memory == nullptr) return nullptr;
    memset(memory, 0xff, bytes);
    const std::lock_guard lock(mutex_);
    ranges_[static_cast<std::byte*>(memory)] = bytes;
    return memory;
  }

  bool release(void* memory) {
    {
      const std::lock_guard lock(mutex_);
      if (ranges_.erase(static_cast<std::byte*>(memory)) == 0) return false;
    }
    free(memory);
    return true;
  }

  bool holds(const void* address, size_t bytes) const {
    const std::lock_guard lock(mutex_);
    auto* const at = const_cast<std::byte*>(static_cast<const std::byte*>(address));
    auto it = ranges_.upper_bound(at);
    if (it == ranges_.begin()) return false;
    --it;
    const auto offset = static_cast<size_t>(at - it->first);
    return offset <= it->second && bytes <= it->second - offset;
  }

 private:
  mutable std::mutex mutex_;
  std::map<std::byte*, size_t> ranges_;
};

Pinned& pinned() {
  static auto* instance = new Pinned();
  return *instance;
}

// What no capture can take, after which the device has done all work.
template <typename F>
cudaError_t outsideCaptures(bool waits, F&& f) {
  return call([&] {
    if (const cudaError_t refused = executor().refuseInCapture(); refused != cudaSuccess) return refused;
    if (waits) {
      if (const cudaError_t lost = executor().waitForAll(); lost != cudaSuccess) return lost;
    }
    return f();
  });
}

bool isKind(cudaMemcpyKind kind, bool toDevice, bool fromDevice) {
  switch (kind) {
    case cudaMemcpyHostToHost:
      return !toDevice && !fromDevice;
    case cudaMemcpyHostToDevice:
      return toDevice && !fromDevice;
    case cudaMemcpyDeviceToHost:
      return !toDevice && fromDevice;
    case cudaMemcpyDeviceToDevice:
      return toDevice && fromDevice;
    default:
      return true;
  }
}

cudaError_t copy(void* to, const void* from, size_t bytes, cudaMemcpyKind kind, cudaStream_t stream, bool hostWaits) {
  if (bytes == 0) return cudaSuccess;
  MachineMemory& memory = machineMemory();
  const bool toDevice = memory.contains(to), fromDevice = memory.contains(from);
  if (!isKind(kind, toDevice, fromDevice)) return cudaErrorInvalidValue;
  if ((toDevice && !memory.holds(to, bytes)) || (fromDevice && !memory.holds(from, bytes)))
    return cudaErrorInvalidValue;
  // Memory that is not pinned goes through the driver's own: to the device, it may be used again at once; from there,
  // the call returns when it has arrived.
  std::shared_ptr<std::vector<std::byte>> staged;
  if (!fromDevice && !pinned().holds(from, bytes)) {
    const auto* bytesFrom = static_cast<const std::byte*>(from);
    staged = std::make_shared<std::vector<std::byte>>(bytesFrom, bytesFrom + bytes);
  }
  const bool arrives = hostWaits || (!toDevice && !pinned().holds(to, bytes));
  return executor().add(stream,
                        {nullptr,
                         [=, &memory] {
                           memmove(to, staged != nullptr ? staged->data() : from, bytes);
                           if (toDevice) memory.written(to, bytes);
                         }},
                        arrives);
}

cudaError_t fill(void* to, int value, size_t bytes, cudaStream_t stream) {
  if (bytes == 0) return cudaSuccess;
  MachineMemory& memory = machineMemory();
  if (!memory.holds(to, bytes)) return cudaErrorInvalidValue;
  return executor().add(stream, {nullptr, [=, &memory] {
                                   memset(to, value, bytes);
                                   memory.written(to, bytes);
                                 }});
}

}  // namespace

}  // namespace quipu::simt

using namespace quipu::simt;

extern "C" {

cudaError_t cudaMalloc(void** pointer, size_t bytes) {
  return outsideCaptures(false, [&] {
    if (pointer == nullptr) return cudaErrorInvalidValue;
    *pointer = nullptr;
    if (bytes == 0) return cudaSuccess;
    *pointer = machineMemory().allocate(currentDevice(), bytes);
    return *pointer == nullptr ? cudaErrorMemoryAllocation : cudaSuccess;
  });
}

cudaError_t cudaFree(void* pointer) {
  return outsideCaptures(true, [&] {
    return pointer == nullptr || machineMemory().release(pointer) ? cudaSuccess : cudaErrorInvalidValue;
  });
}

cudaError_t cudaHostAlloc(void** pointer, size_t bytes, unsigned) {
  return outsideCaptures(false, [&] {
    if (pointer == nullptr) return cudaErrorInvalidValue;
    *pointer = pinned().allocate(bytes);
    return *pointer == nullptr ? cudaErrorMemoryAllocation : cudaSuccess;
  });
}

cudaError_t cudaMallocHost(void** pointer, size_t bytes) { return cudaHostAlloc(pointer, bytes, cudaHostAllocDefault); }

// Goes where the device is lost, too: it is the host's.
cudaError_t cudaFreeHost(void* pointer) {
  executor().waitForAll();
  if (pointer == nullptr || pinned().release(pointer)) return noted(executor().lost());
  return noted(cudaErrorInvalidValue);
}

cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
  return call([&] {
    *total = settings().memory;
    *free = settings().memory - machineMemory().used(currentDevice());
    return cudaSuccess;
  });
}

cudaError_t cudaMemsetAsync(void* pointer, int value, size_t bytes, cudaStream_t stream) {
  return onStream(stream, [&] { return fill(pointer, value, bytes, stream); });
}

cudaError_t cudaMemset(void* pointer, int value, size_t bytes) {
  return outsideCaptures(false, [&] { return fill(pointer, value, bytes, nullptr); });
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
  return onStream(stream, [&] { return copy(to, from, bytes, kind, stream, false); });
}

cudaError_t cudaMemcpy(void* to, const void* from, size_t bytes, cudaMemcpyKind kind) {
  return outsideCaptures(false, [&] { return copy(to, from, bytes, kind, nullptr, true); });
}
}
