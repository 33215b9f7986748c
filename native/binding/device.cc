#include "binding/device.h"

#include <algorithm>
#include <vector>

#include "binding/arguments.h"
#include "binding/classes.h"
#include "binding/errors.h"

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
      {method<&DeviceWrap::buffer>("buffer"), method<&DeviceWrap::place>("place"),
       method<&DeviceWrap::placeMatrix>("placeMatrix"), method<&DeviceWrap::section>("section"),
       method<&DeviceWrap::upload>("upload"), method<&DeviceWrap::packedLayout>("packedLayout"),
       method<&DeviceWrap::program>("program"), method<&DeviceWrap::run>("run"), method<&DeviceWrap::cancel>("cancel"),
       method<&DeviceWrap::threads>("threads"), method<&DeviceWrap::memory>("memory"),
       method<&DeviceWrap::freeMemory>("freeMemory"), method<&DeviceWrap::dispose>("dispose")});
}

// With the kernels of that name; threads() tells how many it got.
DeviceWrap::DeviceWrap(const Napi::CallbackInfo& info) : Wrapped<DeviceWrap>(info) {
  const Napi::Env env = info.Env();
  info.This().As<Napi::Object>().TypeTag(&kTag);
  const Arguments arguments(info, "new Device(target, threads)");
  const auto [target, threads] = arguments.read<std::string, Threads>();
  guarded(env, [&, &target = target, &threads = threads] {
    check(env, Device::open(target, static_cast<uint32_t>(threads), device_));
  });
  completion_ = Completion::New(env, "quipu run", 0, 1, nullptr);
  completion_.Unref(env);
  // Registered after the completion, so it runs before that is torn down: no job of this device is left by then.
  napi_add_env_cleanup_hook(env, onEnvironmentExit, this);
}

DeviceWrap::~DeviceWrap() {
  if (device_ != nullptr) close(Env());
}

void DeviceWrap::close(Napi::Env env) {
  if (device_->closed()) return;
  napi_remove_env_cleanup_hook(env, onEnvironmentExit, this);
  device_->close();
  completion_.Release();
}

// The process or worker ends, perhaps with runs in flight: their promises are never settled, as nobody is left to hear
// of it.
void DeviceWrap::onEnvironmentExit(void* self) { static_cast<DeviceWrap*>(self)->device_->close(); }

void DeviceWrap::dispose(const Napi::CallbackInfo& info) { close(info.Env()); }

Napi::Value DeviceWrap::threads(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), device_->threads());
}

// memory() → [bytes of buffers, bytes of arena and workspace]
Napi::Value DeviceWrap::memory(const Napi::CallbackInfo& info) {
  auto bytes = Napi::Array::New(info.Env(), 2);
  bytes.Set(0u, static_cast<double>(device_->stateBytes()));
  bytes.Set(1u, static_cast<double>(device_->workspaceBytes()));
  return bytes;
}

// freeMemory() → bytes of the device's own memory that are free; 0 of one that has none
Napi::Value DeviceWrap::freeMemory(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), static_cast<double>(device_->freeBytes()));
}

// buffer(bytes, indexBound, filled) → Buffer: zeroed memory
Napi::Value DeviceWrap::buffer(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const auto [bytes, bound, filled] =
      Arguments(info, "buffer(bytes, indexBound, filled)").read<Size, Whole<0, INT32_MAX>, bool>();
  std::shared_ptr<Memory> memory;
  check(env, device_->allocate(bytes, static_cast<uint32_t>(bound), filled, memory));
  return BufferWrap::make(env.GetInstanceData<Classes>()->buffer, std::move(memory));
}

// place(file, offset, bytes, alignment) → Buffer, read-only
Napi::Value DeviceWrap::place(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const auto [file, offset, bytes, alignment] =
      Arguments(info, "place(file, offset, bytes, alignment)").read<FileWrap, Size, Size, Whole<1, 4096>>();
  std::shared_ptr<Memory> memory;
  check(env, device_->place(file->get(env), offset, bytes, alignment, memory));
  file->handOver(env, memory->takenBytes());
  return BufferWrap::make(env.GetInstanceData<Classes>()->buffer, std::move(memory));
}

// placeMatrix(file, offset, alignment, dtype, rows, columns) → Buffer, read-only, laid out as the device wants it
Napi::Value DeviceWrap::placeMatrix(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const auto [file, offset, alignment, dtype, rows, columns] =
      Arguments(info, "placeMatrix(file, offset, alignment, dtype, rows, columns)")
          .read<FileWrap, Size, Whole<1, 4096>, Whole<0, int64_t{kDTypeCount} - 1>, Whole<0, UINT32_MAX>,
                Whole<0, UINT32_MAX>>();
  std::shared_ptr<Memory> memory;
  check(env, device_->placeMatrix(file->get(env), offset, alignment, static_cast<DType>(dtype),
                                  static_cast<uint32_t>(rows), static_cast<uint32_t>(columns), memory));
  file->handOver(env, memory->takenBytes());
  return BufferWrap::make(env.GetInstanceData<Classes>()->buffer, std::move(memory));
}

// section(prepared, index) → Buffer with a section of a prepared file: writable while that is being made
Napi::Value DeviceWrap::section(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const Arguments arguments(info, "section(prepared, index)");
  const auto [prepared, index] = arguments.read<PreparedWrap, Size>();
  const PreparedFile& file = *prepared->get(env);
  if (index >= file.sections()) arguments.wrong(1, "a section of the file");
  std::shared_ptr<Memory> memory;
  check(env, device_->place(file.file(), file.offset(index), file.section(index).size(), kAlignment, memory));
  return BufferWrap::make(env.GetInstanceData<Classes>()->buffer, std::move(memory));
}

// upload(bytes: Uint8Array, dtype, rows, columns) → Buffer, read-only: a matrix as the CPU has packed it
Napi::Value DeviceWrap::upload(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const auto [bytes, dtype, rows, columns] = Arguments(info, "upload(bytes, dtype, rows, columns)")
                                                 .read<std::span<const uint8_t>, Whole<0, int64_t{kDTypeCount} - 1>,
                                                       Whole<0, UINT32_MAX>, Whole<0, UINT32_MAX>>();
  std::shared_ptr<Memory> memory;
  check(env, device_->upload(bytes, static_cast<DType>(dtype), static_cast<uint32_t>(rows),
                             static_cast<uint32_t>(columns), memory));
  return BufferWrap::make(env.GetInstanceData<Classes>()->buffer, std::move(memory));
}

Napi::Value DeviceWrap::packedLayout(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), device_->packedLayout());
}

// program(stream: Uint32Array, buffers: Buffer[]) → Program
Napi::Value DeviceWrap::program(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const Arguments arguments(info, "program(stream, buffers)");
  const auto [words, list] = arguments.read<std::span<const uint32_t>, Napi::Array>();
  std::vector<std::shared_ptr<Memory>> buffers;
  buffers.reserve(list.Length());
  for (uint32_t i = 0; i < list.Length(); ++i) {
    const auto buffer = Argument<BufferWrap>::read(list.Get(i));
    if (!buffer) arguments.wrong(1, "buffers");
    buffers.push_back((*buffer)->get(env, *device_));
  }
  std::shared_ptr<LoadedProgram> program;
  check(env, device_->load({words.begin(), words.end()}, std::move(buffers), program));
  return ProgramWrap::make(env.GetInstanceData<Classes>()->program, std::move(program));
}

// cancel(flag): ends the runs that were given this flag, also before they start.
void DeviceWrap::cancel(const Napi::CallbackInfo& info) {
  const auto [flag] = Arguments(info, "cancel(flag)").read<CancelFlagWrap>();
  device_->cancel(*flag->get());
}

// run(program | null, writes, reads, cancel, byRow, rows, wanted) → Promise. writes and reads are flat lists of
// (Buffer, byte offset, typed array): arrays to write are copied now, arrays to read into are filled before the promise
// resolves. It resolves to [started, ended, idle, …errors]: milliseconds (Job), and where byRow is set the errors of
// the rows that failed alone.
Napi::Value DeviceWrap::run(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (device_->closed()) throw toError(env, Status::error(ErrorCode::kDisposed, "the device is disposed"));
  const Arguments arguments(info, "run(program, writes, reads, cancel, byRow, rows, wanted)");
  const auto [program, writes, reads, cancel, byRow, rows, wanted] =
      arguments.read<std::optional<ProgramWrap>, Napi::Array, Napi::Array, CancelFlagWrap, bool, Rows, Rows>();
  auto job = std::make_shared<Job>();
  if (program) job->program = (*program)->get(env, *device_);
  job->counts = {static_cast<uint32_t>(rows), static_cast<uint32_t>(wanted)};
  if (program) check(env, job->program->program().fits(job->counts));
  job->cancel = cancel->get();
  job->byRow = byRow;

  struct Transfer {
    std::shared_ptr<Memory> memory;
    size_t offset;
    Napi::TypedArray array;
    std::byte* data;
    size_t bytes;
  };
  // From element `at` of `list`, which is argument `index`.
  const auto transfer = [&](size_t index, const Napi::Array& list, uint32_t at) {
    const auto buffer = Argument<BufferWrap>::read(list.Get(at));
    const auto offset = Argument<Size>::read(list.Get(at + 1));
    const Napi::Value array = list.Get(at + 2);
    if (!buffer || !offset || !array.IsTypedArray())
      arguments.wrong(index, "a buffer, an offset and a typed array each");
    const auto typed = array.As<Napi::TypedArray>();
    auto* data = static_cast<std::byte*>(typed.ArrayBuffer().Data()) + typed.ByteOffset();
    return Transfer{(*buffer)->get(env, *device_), *offset, typed, data, typed.ByteLength()};
  };

  for (uint32_t i = 0; i + 2 < writes.Length(); i += 3) {
    const Transfer t = transfer(1, writes, i);
    check(env, t.memory->checkWrite(t.offset, t.data, t.bytes));
    job->writes.push_back({t.memory, t.offset, {t.data, t.data + t.bytes}});
  }
  auto pending = std::unique_ptr<Pending>(
      new Pending{job, Napi::Promise::Deferred::New(env), Napi::Persistent(info.This().As<Napi::Object>()), {}});
  for (uint32_t i = 0; i + 2 < reads.Length(); i += 3) {
    const Transfer t = transfer(2, reads, i);
    check(env, t.memory->checkRead(t.offset, t.bytes));
    job->reads.push_back({t.memory, t.offset, std::vector<std::byte>(t.bytes)});
    pending->targets.push_back(Napi::Persistent(t.array));
  }

  job->done = [completion = completion_, raw = pending.get()] { completion.NonBlockingCall(raw); };
  device_->run(std::move(job));
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
  DeviceWrap& device = *Unwrap(pending->device.Value());
  if (--device.pending_ == 0 && !device.device_->closed()) device.completion_.Unref(env);
  const Job& job = *pending->job;
  if (!job.outcome.status.ok()) {
    pending->deferred.Reject(toError(env, job.outcome.status).Value());
    return;
  }
  for (size_t i = 0; i < job.reads.size(); ++i) {
    const Napi::TypedArray array = pending->targets[i].Value();
    const std::vector<std::byte>& data = job.reads[i].data;
    if (array.ByteLength() != data.size()) continue;  // its memory was transferred elsewhere meanwhile
    std::copy(data.begin(), data.end(), static_cast<std::byte*>(array.ArrayBuffer().Data()) + array.ByteOffset());
  }
  auto result = Napi::Array::New(env, 3);
  result.Set(0u, job.started);
  result.Set(1u, job.ended);
  result.Set(2u, job.idle);
  for (const uint64_t word : job.outcome.rows) {
    const Failure failure = failureOf(word);
    const Napi::Error error = toError(env, describe(failure, job.program->program()));
    error.Set("row", Napi::Number::New(env, failure.row));
    result.Set(result.Length(), error.Value());
  }
  pending->deferred.Resolve(result);
}

}  // namespace quipu::binding
