#include "binding/classes.h"
#include "binding/errors.h"

namespace quipu::binding {

Napi::Function BufferWrap::define(Napi::Env env) {
  return DefineClass(env, "Buffer", {method<&BufferWrap::dispose>("dispose")});
}

// new Buffer(bytes, indexBound): zeroed memory. Native code passes an External in place of both.
BufferWrap::BufferWrap(const Napi::CallbackInfo& info) : Wrapped<BufferWrap>(info) {
  info.This().As<Napi::Object>().TypeTag(&kTag);
  if (info[0].IsExternal()) {
    buffer_ = std::move(*info[0].As<Napi::External<std::shared_ptr<Buffer>>>().Data());
    return;
  }
  const size_t bytes = toSize(info[0], "a count of bytes");
  const size_t bound = toSize(info[1], "an index bound");
  if (bound > INT32_MAX) wrongArgument(info.Env(), "an index bound of 32 bits");
  guarded(info.Env(), [&] { check(info.Env(), Buffer::allocate(bytes, static_cast<uint32_t>(bound), buffer_)); });
  account(info.Env(), true);
}

BufferWrap::~BufferWrap() {
  if (buffer_ != nullptr) account(Env(), false);
}

Napi::Object BufferWrap::wrap(Napi::Env env, std::shared_ptr<Buffer> buffer) {
  return env.GetInstanceData<Classes>()->buffer.New({Napi::External<std::shared_ptr<Buffer>>::New(env, &buffer)});
}

const std::shared_ptr<Buffer>& BufferWrap::get(Napi::Env env) const {
  if (buffer_ == nullptr) throw toError(env, Status::error(ErrorCode::kDisposed, "the buffer is disposed"));
  return buffer_;
}

// Tells the garbage collector what hangs on this object. Views of files are not counted: their pages belong to the
// system.
void BufferWrap::account(Napi::Env env, bool add) {
  if (!buffer_->writable()) return;
  const auto bytes = static_cast<int64_t>(buffer_->bytes());
  Napi::MemoryManagement::AdjustExternalMemory(env, add ? bytes : -bytes);
}

void BufferWrap::dispose(const Napi::CallbackInfo& info) {
  if (buffer_ == nullptr) return;
  account(info.Env(), false);
  buffer_.reset();
}

}  // namespace quipu::binding
