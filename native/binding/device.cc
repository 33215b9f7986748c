#include "binding/device.h"

#include <algorithm>
#include <vector>

#include "binding/classes.h"
#include "binding/errors.h"
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
      {method<&DeviceWrap::run>("run"), method<&DeviceWrap::cancel>("cancel"), method<&DeviceWrap::dispose>("dispose"),
       method<&DeviceWrap::threads>("threads"), method<&DeviceWrap::workspaceBytes>("workspaceBytes")});
}

// new Device(target, threads): the CPU with kernels of the named instruction set; threads() tells how many it got
DeviceWrap::DeviceWrap(const Napi::CallbackInfo& info) : Wrapped<DeviceWrap>(info) {
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
  threads_ = static_cast<uint32_t>(threads);
  guarded(env, [&] {
    check(env, cpu::SharedThreads::open(threads_, shared_));
    backend_ = std::make_unique<cpu::CpuBackend>(*target, shared_->pool(), threads_);
  });
  completion_ = Completion::New(env, "quipu run", 0, 1, nullptr);
  completion_.Unref(env);
  // Registered after the completion, so it runs before that is torn down: no job of this device is left by then.
  napi_add_env_cleanup_hook(env, onEnvironmentExit, this);
}

DeviceWrap::~DeviceWrap() { close(Env()); }

void DeviceWrap::close(Napi::Env env) {
  if (shared_ == nullptr) return;
  napi_remove_env_cleanup_hook(env, onEnvironmentExit, this);
  leave();
  completion_.Release();
}

// Ends this device's jobs; the last device of the process ends the threads.
void DeviceWrap::leave() {
  shared_->queue().leave(*backend_);
  backend_.reset();
  shared_.reset();
}

// The process or worker ends, perhaps with runs in flight: their promises are never settled, as nobody is left to hear
// of it.
void DeviceWrap::onEnvironmentExit(void* self) { static_cast<DeviceWrap*>(self)->leave(); }

void DeviceWrap::dispose(const Napi::CallbackInfo& info) { close(info.Env()); }

Napi::Value DeviceWrap::threads(const Napi::CallbackInfo& info) { return Napi::Number::New(info.Env(), threads_); }

Napi::Value DeviceWrap::workspaceBytes(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), backend_ == nullptr ? 0.0 : static_cast<double>(backend_->workspaceBytes()));
}

// cancel(flag): ends the runs that were given this flag, also before they start.
void DeviceWrap::cancel(const Napi::CallbackInfo& info) {
  const std::shared_ptr<CancelFlag> flag = unwrap<CancelFlagWrap>(info[0]).get();
  if (shared_ != nullptr) shared_->queue().cancel(*flag);
}

// run(program | null, writes, reads, cancel) → Promise<[started, ended, idle]> in milliseconds. writes and reads are
// flat lists of (Buffer, byte offset, typed array): arrays to write are copied now, arrays to read into are filled
// before the promise resolves.
Napi::Value DeviceWrap::run(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (shared_ == nullptr) throw toError(env, Status::error(ErrorCode::kDisposed, "the device is disposed"));
  if (!info[1].IsArray() || !info[2].IsArray()) wrongArgument(env, "(program, writes, reads, cancel)");
  auto job = std::make_shared<Job>();
  job->backend = backend_.get();
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

  job->done = [completion = completion_, raw = pending.get()](const std::shared_ptr<Job>&) {
    completion.NonBlockingCall(raw);
  };
  shared_->queue().push(std::move(job));
  if (pending_++ == 0) completion_.Ref(env);
  return pending.release()->deferred.Promise();  // settle() owns it: on this thread, so not before this returns
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
  if (--device.pending_ == 0 && device.shared_ != nullptr) device.completion_.Unref(env);
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
  const auto times = Napi::Array::New(env, 3);
  times.Set(0u, job.started);
  times.Set(1u, job.ended);
  times.Set(2u, job.idle);
  pending->deferred.Resolve(times);
}

}  // namespace quipu::binding
