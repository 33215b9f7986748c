#include "binding/errors.h"

namespace quipu::binding {

Napi::Error toError(Napi::Env env, const Status& status) {
  Napi::Error error = Napi::Error::New(env, status.message);
  error.Set("code", Napi::String::New(env, nameOf(status.code)));
  return error;
}

void check(Napi::Env env, const Status& status) {
  if (!status.ok()) throw toError(env, status);
}

}  // namespace quipu::binding
