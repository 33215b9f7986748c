#include "binding/errors.h"

#include <cmath>
#include <string>

namespace quipu::binding {

Napi::Error toError(Napi::Env env, const Status& status) {
  Napi::Error error = Napi::Error::New(env, status.message);
  error.Set("code", Napi::String::New(env, nameOf(status.code)));
  return error;
}

void check(Napi::Env env, const Status& status) {
  if (!status.ok()) throw toError(env, status);
}

void wrongArgument(Napi::Env env, const char* what) {
  throw toError(env, Status::error(ErrorCode::kInternal, std::string("native call: expected ") + what));
}

size_t toSize(const Napi::Value& value, const char* what) {
  if (!value.IsNumber()) wrongArgument(value.Env(), what);
  const double number = value.As<Napi::Number>().DoubleValue();
  if (!(number >= 0) || number > 9007199254740992.0 || number != std::floor(number)) wrongArgument(value.Env(), what);
  return static_cast<size_t>(number);
}

}  // namespace quipu::binding
