// What programs take of a device that need not be there.
#pragma once

#include <napi.h>

namespace quipu::binding {

// workspaceOf(target, threads, stream, buffers) → bytes that a program's runs take of a device of this module beside
// the program's buffers, by their kinds (Device::workspaceOf). `buffers` has three numbers for each of the program's:
// bytes, index bound, and 0 where it is read-only. Nothing is allocated.
Napi::Value workspaceOf(const Napi::CallbackInfo& info);

}  // namespace quipu::binding
