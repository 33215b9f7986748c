// Memory of an object that V8 does not see. Told of it, V8 collects dead objects before they pile up.
#pragma once

#include <napi.h>

namespace quipu::binding {

class ExternalMemory {
 public:
  ExternalMemory(Napi::Env env, size_t bytes) : env_(env), bytes_(static_cast<int64_t>(bytes)) {
    Napi::MemoryManagement::AdjustExternalMemory(env_, bytes_);
  }
  ~ExternalMemory() { Napi::MemoryManagement::AdjustExternalMemory(env_, -bytes_); }
  ExternalMemory(const ExternalMemory&) = delete;
  ExternalMemory& operator=(const ExternalMemory&) = delete;

 private:
  const Napi::Env env_;
  const int64_t bytes_;
};

}  // namespace quipu::binding
