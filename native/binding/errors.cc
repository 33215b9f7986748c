#include "binding/errors.h"

namespace quipu::binding {

Napi::Error toError(Napi::Env env, const Status& status) {
  // Who ran out of memory on a thread of its own had none for words.
  const bool wordless = status.message.empty() && status.code == ErrorCode::kOutOfMemory;
  Napi::Error error = Napi::Error::New(env, wordless ? "not enough memory for this" : status.message);
  error.Set("code", Napi::String::New(env, nameOf(status.code)));
  return error;
}

void check(Napi::Env env, const Status& status) {
  if (!status.ok()) throw toError(env, status);
}

}  // namespace quipu::binding
