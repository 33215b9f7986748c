// Starting threads where the system may refuse: a limit on processes (ulimit -u, a container's pids.max), or no memory
// for the stack. std::thread throws then.
#pragma once

#include <new>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "core/error.h"

namespace quipu {

// Starts one more thread that runs `body`; false where the system refuses it.
template <typename Body>
bool startThread(std::vector<std::thread>& threads, Body&& body) {
  try {
    threads.emplace_back(std::forward<Body>(body));
    return true;
  } catch (const std::system_error&) {
    return false;
  } catch (const std::bad_alloc&) {
    return false;
  }
}

// What to say where not even one thread was started.
inline Status threadRefused() {
  return Status::error(ErrorCode::kDeviceUnavailable,
                       "the system refuses to start a thread: the processes of this user or container are at their "
                       "limit (ulimit -u, pids.max), or memory is out");
}

}  // namespace quipu
