// Advisory locks of files, which Node has no call for.
#pragma once

#include <napi.h>

namespace quipu::binding {

// tryLock(fd) → "" where this descriptor has the exclusive lock of its file now (flock(2)), "held" where another has
// it, else what the system says. Closing the descriptor, or the end of the process, releases it.
Napi::Value tryLock(const Napi::CallbackInfo& info);

}  // namespace quipu::binding
