#include "binding/device.h"

#include <algorithm>
#include <vector>

#include "binding/classes.h"
#include "binding/errors.h"
#include "cpu/backend.h"
#include "cpu/targets.h"

namespace quipu::binding {

struct DeviceWrap::Pending {
  std::shared_ptr<Job> job;
  Napi::Promise::Deferred deferred;
  Napi::ObjectReference device;                            // keeps the device from being collected in mid-run
  std::vector<Napi::Reference<Napi::TypedArray>> targets;  // of job->reads, in their order
};

Napi::Function DeviceWrap::define(Napi::Env env) {
  return DefineClass(
      env, "Device",
      {InstanceMethod<&DeviceWrap::run>("run"), InstanceMethod<&DeviceWrap::cancel>("cancel"),
       InstanceMethod<&DeviceWrap::dispose>("dispose"), InstanceMethod<&DeviceWrap::workspaceBytes>("workspaceBytes")});
}

// new Device(target, threads): the CPU with kernels of the named instruction set
DeviceWrap::DeviceWrap(const Napi::CallbackInfo& info) : Napi::ObjectWrap<DeviceWrap>(info) {
  const Napi::Env env = info.Env();
  info.This().As<Napi::Object>().TypeTag(&kTag);
  if (!info[0].IsString()) wrongArgument(env, "(target, threads)");
  const size_t threads = toSize(info[1], "a count of threads");
  if (threads < 1 || threads > 1024) wrongArgument(env, "1 to 1024 threads");
  const cpu::Target* target = cpu::findTarget(info[0].As<Napi::String>().Utf8Value());
  if (target == nullptr) {
    throw toError(env, Status::error(ErrorCode::kDeviceUnavailable, "this CPU cannot run the kernels \"" +
                                                                        info[0].As<Napi::String>().Utf8Value() + "\""));
  }
  completion_ = Completion::New(env, "quipu run", 0, 1, nullptr);
  completion_.Unref(env);
  queue_ = std::make_unique<RunQueue>(std::make_unique<cpu::CpuBackend>(*target, static_cast<uint32_t>(threads)));
  // Registered after the completion, so it runs before that is torn down: the queue's thread is joined first.
  napi_add_env_cleanup_hook(env, onEnvironmentExit, this);
}

DeviceWrap::~DeviceWrap() { close(Env()); }

void DeviceWrap::close(Napi::Env env) {
  if (queue_ == nullptr) return;
  napi_remove_env_cleanup_hook(env, onEnvironmentExit, this);
  queue_.reset();
  completion_.Release();
}

// The process or worker ends, perhaps with runs in flight: stop them and join. Their promises are never settled, as
// nobody is left to hear of it.
void DeviceWrap::onEnvironmentExit(void* self) { static_cast<DeviceWrap*>(self)->queue_.reset(); }

void DeviceWrap::dispose(const Napi::CallbackInfo& info) { close(info.Env()); }

Napi::Value DeviceWrap::workspaceBytes(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), queue_ == nullptr ? 0.0 : static_cast<double>(queue_->workspaceBytes()));
}

// cancel(flag): ends the runs that were given this flag, also before they start.
void DeviceWrap::cancel(const Napi::CallbackInfo& info) {
  const std::shared_ptr<CancelFlag> flag = unwrap<CancelFlagWrap>(info[0]).get();
  if (queue_ != nullptr) queue_->cancel(*flag);
}

// run(program | null, writes, reads, cancel) → Promise. writes and reads are flat lists of (Buffer, byte offset, typed
// array): arrays to write are copied now, arrays to read into are filled before the promise resolves.
Napi::Value DeviceWrap::run(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (queue_ == nullptr) throw toError(env, Status::error(ErrorCode::kDisposed, "the device is disposed"));
  if (!info[1].IsArray() || !info[2].IsArray()) wrongArgument(env, "(program, writes, reads, cancel)");
  auto job = std::make_shared<Job>();
  if (!info[0].IsNull()) job->program = unwrap<ProgramWrap>(info[0]).get(env);
  job->cancel = unwrap<CancelFlagWrap>(info[3]).get();

  struct Transfer {
    std::shared_ptr<Buffer> buffer;
    size_t offset;
    Napi::TypedArray array;
    std::byte* data;
    size_t bytes;
  };
  const auto transfer = [&](const Napi::Array& list, uint32_t at) {
    const Napi::Value array = list.Get(at + 2);
    if (!array.IsTypedArray()) wrongArgument(env, "a typed array");
    const auto typed = array.As<Napi::TypedArray>();
    auto* data = static_cast<std::byte*>(typed.ArrayBuffer().Data()) + typed.ByteOffset();
    return Transfer{unwrap<BufferWrap>(list.Get(at)).get(env), toSize(list.Get(at + 1), "an offset"), typed, data,
                    typed.ByteLength()};
  };

  const auto writes = info[1].As<Napi::Array>();
  for (uint32_t i = 0; i + 2 < writes.Length(); i += 3) {
    const Transfer t = transfer(writes, i);
    check(env, t.buffer->checkWrite(t.offset, t.data, t.bytes));
    job->writes.push_back({t.buffer, t.offset, {t.data, t.data + t.bytes}});
  }
  const auto reads = info[2].As<Napi::Array>();
  auto pending = std::unique_ptr<Pending>(
      new Pending{job, Napi::Promise::Deferred::New(env), Napi::Persistent(info.This().As<Napi::Object>()), {}});
  for (uint32_t i = 0; i + 2 < reads.Length(); i += 3) {
    const Transfer t = transfer(reads, i);
    if (t.offset > t.buffer->bytes() || t.bytes > t.buffer->bytes() - t.offset) {
      throw toError(env, Status::error(ErrorCode::kInternal, "a read leaves its buffer"));
    }
    job->reads.push_back({t.buffer, t.offset, std::vector<std::byte>(t.bytes)});
    pending->targets.push_back(Napi::Persistent(t.array));
  }

  if (pending_++ == 0) completion_.Ref(env);
  const Napi::Promise promise = pending->deferred.Promise();
  job->done = [completion = completion_, raw = pending.release()](const std::shared_ptr<Job>&) {
    completion.NonBlockingCall(raw);
  };
  queue_->push(std::move(job));
  return promise;
}

// On the JavaScript thread, when a run is done.
void DeviceWrap::settle(Napi::Env env, Napi::Function, std::nullptr_t*, Pending* raw) {
  const std::unique_ptr<Pending> pending(raw);
  if (env == nullptr) {  // the environment is being torn down: its references go with it
    pending->device.SuppressDestruct();
    for (auto& target : pending->targets) target.SuppressDestruct();
    return;
  }
  pending->job->done = nullptr;
  DeviceWrap& device = *Unwrap(pending->device.Value());
  if (--device.pending_ == 0 && device.queue_ != nullptr) device.completion_.Unref(env);
  const Job& job = *pending->job;
  if (!job.status.ok()) {
    pending->deferred.Reject(toError(env, job.status).Value());
    return;
  }
  for (size_t i = 0; i < job.reads.size(); ++i) {
    const Napi::TypedArray array = pending->targets[i].Value();
    const std::vector<std::byte>& data = job.reads[i].data;
    if (array.ByteLength() != data.size()) continue;  // its memory was transferred elsewhere meanwhile
    std::copy(data.begin(), data.end(), static_cast<std::byte*>(array.ArrayBuffer().Data()) + array.ByteOffset());
  }
  pending->deferred.Resolve(env.Undefined());
}

}  // namespace quipu::binding
