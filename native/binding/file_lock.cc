#include "binding/file_lock.h"

#include <sys/file.h>

#include <cerrno>
#include <string>
#include <system_error>

#include "binding/arguments.h"

namespace quipu::binding {

namespace {

// Empty where it is locked now.
std::string problemOf(int fd) {
  while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    if (errno == EINTR) continue;
    if (errno == EWOULDBLOCK) return "held";
    return std::generic_category().message(errno);
  }
  return "";
}

}  // namespace

Napi::Value tryLock(const Napi::CallbackInfo& info) {
  const Arguments arguments(info, "tryLock(fd)");
  const auto [fd] = arguments.read<Whole<0, INT32_MAX>>();
  return Napi::String::New(info.Env(), problemOf(static_cast<int>(fd)));
}

}  // namespace quipu::binding
