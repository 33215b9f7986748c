// From native failures to JavaScript errors: an Error with a `code` of src/errors.ts, which src/addon/addon.ts turns
// into a QuipuError.
#pragma once

#include <napi.h>

#include <new>
#include <stdexcept>
#include <type_traits>

#include "core/error.h"

namespace quipu::binding {

Napi::Error toError(Napi::Env env, const Status& status);

// Throws when `status` is a failure.
void check(Napi::Env env, const Status& status);

// Calls what may throw when memory is out, and throws an error with a code in its place.
template <typename Call>
auto guarded(Napi::Env env, Call call) {
  try {
    return call();
  } catch (const std::bad_alloc&) {
    throw toError(env, Status::error(ErrorCode::kOutOfMemory, "not enough memory for this"));
  } catch (const std::length_error&) {  // more than a container can hold at all
    throw toError(env, Status::error(ErrorCode::kOutOfMemory, "not enough memory for this"));
  }
}

// A function as JavaScript calls it.
template <auto kFunction>
Napi::Value guardedFunction(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value { return kFunction(info); });
}

// A class as JavaScript sees it. Its methods are guarded; its constructor guards what allocates.
template <typename T>
class Wrapped : public Napi::ObjectWrap<T> {
 public:
  using Napi::ObjectWrap<T>::ObjectWrap;

 protected:
  // For DefineClass.
  template <auto kMethod>
  static Napi::ClassPropertyDescriptor<T> method(const char* name) {
    using Method = Napi::Value (T::*)(const Napi::CallbackInfo&);
    return Napi::ObjectWrap<T>::InstanceMethod(name, static_cast<Method>(&Wrapped::template call<kMethod>));
  }

 private:
  template <auto kMethod>
  Napi::Value call(const Napi::CallbackInfo& info) {
    return guarded(info.Env(), [&]() -> Napi::Value {
      T& self = static_cast<T&>(*this);
      if constexpr (std::is_void_v<decltype((self.*kMethod)(info))>) {
        (self.*kMethod)(info);
        return info.Env().Undefined();
      } else {
        return (self.*kMethod)(info);
      }
    });
  }
};

}  // namespace quipu::binding
