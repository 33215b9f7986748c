#include "binding/classes.h"

#include "binding/device.h"

namespace quipu::binding {

void define(Napi::Object exports, Napi::FunctionReference& reference, const char* name, Napi::Function constructor) {
  reference = Napi::Persistent(constructor);
  exports.Set(name, constructor);
}

void defineDevice(Napi::Env env, Napi::Object exports, Classes& classes) {
  define(exports, classes.device, "Device", DeviceWrap::define(env));
  define(exports, classes.file, "MappedFile", FileWrap::define(env));
  define(exports, classes.cancelFlag, "CancelFlag", CancelFlagWrap::define(env));
  classes.buffer = Napi::Persistent(BufferWrap::define(env));
  classes.prepared = Napi::Persistent(PreparedWrap::define(env));
  classes.program = Napi::Persistent(ProgramWrap::define(env));
}

Napi::Function BufferWrap::define(Napi::Env env) {
  return DefineClass(env, "Buffer", {method<&BufferWrap::dispose>("dispose")});
}

// The garbage collector is told of memory that is taken for sure. To tell it of a cache whose pages are not touched yet
// brings it to collect a heap where nothing is to be gained: 12 times for 8 GiB.
BufferWrap::BufferWrap(const Napi::CallbackInfo& info) : Made(info) {
  memory_.emplace(info.Env(), held_->takenBytes());
}

void BufferWrap::dispose(const Napi::CallbackInfo&) {
  memory_.reset();
  held_.reset();
}

Napi::Function ProgramWrap::define(Napi::Env env) {
  return DefineClass(env, "Program", {method<&ProgramWrap::dispose>("dispose")});
}

void ProgramWrap::dispose(const Napi::CallbackInfo&) { held_.reset(); }

Napi::Function CancelFlagWrap::define(Napi::Env env) { return DefineClass(env, "CancelFlag", {}); }

CancelFlagWrap::CancelFlagWrap(const Napi::CallbackInfo& info)
    : Wrapped<CancelFlagWrap>(info), flag_(guarded(info.Env(), [] { return std::make_shared<CancelFlag>(); })) {
  info.This().As<Napi::Object>().TypeTag(&kTag);
}

}  // namespace quipu::binding
