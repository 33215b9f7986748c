// Entry of quipu-cuda.node: the CUDA device, with the face that every device has.
#include <napi.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "binding/classes.h"
#include "binding/errors.h"
#include "binding/workspace.h"
#include "core/device.h"
#include "cuda/backend.h"
#include "cuda/executable.h"
#include "cuda/gpus.h"

namespace quipu {

// `target`: the GPU's number among those that the driver shows.
Status Device::open(const std::string& target, uint32_t, std::shared_ptr<Device>& out) {
  std::unique_ptr<RunQueue> queue;
  std::unique_ptr<Backend> backend;
  const auto index = static_cast<uint32_t>(strtoul(target.c_str(), nullptr, 10));
  if (Status status = cuda::CudaBackend::open(index, backend); !status.ok()) return status;
  if (Status status = RunQueue::start(queue); !status.ok()) return status;
  out = std::make_shared<Device>(std::move(queue), std::move(backend), 1);
  return {};
}

// Arena, workspace of an op, what a run comes to: the same of every GPU.
Status Device::workspaceOf(const std::string&, uint32_t, const Program& program, std::vector<size_t>& parts) {
  cuda::ArenaSizes sizes;
  if (Status status = cuda::ArenaSizes::of(program, sizes); !status.ok()) return status;
  parts = {sizes.arena, sizes.workspace, sizes.state};
  return {};
}

}  // namespace quipu

namespace {

// gpus() → what the driver shows: [name, compute capability, bytes of memory, bytes of it that are free] of each, and
// first the CUDA version of the driver and of this build.
Napi::Value gpus(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  quipu::cuda::GpuList list;
  quipu::binding::check(env, quipu::cuda::listGpus(list));
  auto result = Napi::Array::New(env);
  uint32_t at = 0;
  result.Set(at++, Napi::String::New(env, list.driver));
  result.Set(at++, Napi::String::New(env, list.runtime));
  for (const quipu::cuda::GpuDescription& gpu : list.gpus) {
    auto row = Napi::Array::New(env, 4);
    row.Set(0u, Napi::String::New(env, gpu.name));
    row.Set(1u, Napi::String::New(env, gpu.capability));
    row.Set(2u, Napi::Number::New(env, static_cast<double>(gpu.bytes)));
    row.Set(3u, Napi::Number::New(env, static_cast<double>(gpu.freeBytes)));
    result.Set(at++, row);
  }
  return result;
}

Napi::Object initialize(Napi::Env env, Napi::Object exports) {
  auto* classes = new quipu::binding::Classes();
  quipu::binding::defineDevice(env, exports, *classes);
  env.SetInstanceData<quipu::binding::Classes>(classes);
  exports.Set("gpus", Napi::Function::New<quipu::binding::guardedFunction<gpus>>(env, "gpus"));
  exports.Set("workspaceOf",
              Napi::Function::New<quipu::binding::guardedFunction<quipu::binding::workspaceOf>>(env, "workspaceOf"));
  return exports;
}

}  // namespace

NODE_API_MODULE(quipu_cuda, initialize)
