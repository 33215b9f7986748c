// A device as JavaScript sees it: jobs for the run queue whose results come back as promises.
#pragma once

#include <napi.h>

#include <memory>

#include "binding/errors.h"
#include "cpu/backend.h"
#include "cpu/shared_threads.h"

namespace quipu::binding {

class DeviceWrap : public Wrapped<DeviceWrap> {
 public:
  static constexpr napi_type_tag kTag = {0x71756970755f0005, 0x6465766963650000};
  static Napi::Function define(Napi::Env env);
  explicit DeviceWrap(const Napi::CallbackInfo& info);
  ~DeviceWrap() override;

 private:
  struct Pending;  // a run that JavaScript waits for
  static void settle(Napi::Env env, Napi::Function, std::nullptr_t*, Pending* pending);
  using Completion = Napi::TypedThreadSafeFunction<std::nullptr_t, Pending, settle>;

  Napi::Value run(const Napi::CallbackInfo& info);
  void cancel(const Napi::CallbackInfo& info);
  Napi::Value workspaceBytes(const Napi::CallbackInfo& info);
  void dispose(const Napi::CallbackInfo& info);
  Napi::Value threads(const Napi::CallbackInfo& info);
  void close(Napi::Env env);
  void leave();
  static void onEnvironmentExit(void* self);

  uint32_t threads_ = 0;
  std::shared_ptr<cpu::SharedThreads> shared_;  // null when it is disposed of
  std::unique_ptr<cpu::CpuBackend> backend_;
  Completion completion_;
  uint32_t pending_ = 0;  // runs in flight; the event loop stays alive while there are any
};

}  // namespace quipu::binding
