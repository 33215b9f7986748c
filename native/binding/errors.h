// From native failures to JavaScript errors: an Error with a `code` of src/errors.ts, which src/addon/addon.ts turns
// into a QuipuError.
#pragma once

#include <napi.h>

#include "core/error.h"

namespace quipu::binding {

Napi::Error toError(Napi::Env env, const Status& status);

// Throws when `status` is a failure.
void check(Napi::Env env, const Status& status);

// For arguments that only quipu's own TypeScript passes: a wrong one is a bug of ours, not of the user.
[[noreturn]] void wrongArgument(Napi::Env env, const char* what);

// A whole number in [0, 2^53] as a size.
size_t toSize(const Napi::Value& value, const char* what);

}  // namespace quipu::binding
