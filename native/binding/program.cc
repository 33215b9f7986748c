#include <vector>

#include "binding/classes.h"
#include "binding/errors.h"

namespace quipu::binding {

Napi::Function ProgramWrap::define(Napi::Env env) {
  return DefineClass(env, "Program", {method<&ProgramWrap::dispose>("dispose")});
}

// new Program(stream: Uint32Array, buffers: Buffer[])
ProgramWrap::ProgramWrap(const Napi::CallbackInfo& info) : Wrapped<ProgramWrap>(info) {
  info.This().As<Napi::Object>().TypeTag(&kTag);
  if (!info[0].IsTypedArray() || info[0].As<Napi::TypedArray>().TypedArrayType() != napi_uint32_array ||
      !info[1].IsArray()) {
    wrongArgument(info.Env(), "(Uint32Array, Buffer[])");
  }
  const auto words = info[0].As<Napi::Uint32Array>();
  const auto list = info[1].As<Napi::Array>();
  guarded(info.Env(), [&] {
    std::vector<std::shared_ptr<Buffer>> buffers;
    buffers.reserve(list.Length());
    for (uint32_t i = 0; i < list.Length(); ++i) buffers.push_back(unwrap<BufferWrap>(list.Get(i)).get(info.Env()));
    check(info.Env(),
          Program::parse({words.Data(), words.Data() + words.ElementLength()}, std::move(buffers), program_));
  });
}

const std::shared_ptr<const Program>& ProgramWrap::get(Napi::Env env) const {
  if (program_ == nullptr) throw toError(env, Status::error(ErrorCode::kDisposed, "the program is disposed"));
  return program_;
}

void ProgramWrap::dispose(const Napi::CallbackInfo&) { program_.reset(); }

Napi::Function CancelFlagWrap::define(Napi::Env env) { return DefineClass(env, "CancelFlag", {}); }

CancelFlagWrap::CancelFlagWrap(const Napi::CallbackInfo& info)
    : Wrapped<CancelFlagWrap>(info), flag_(guarded(info.Env(), [] { return std::make_shared<CancelFlag>(); })) {
  info.This().As<Napi::Object>().TypeTag(&kTag);
}

}  // namespace quipu::binding
