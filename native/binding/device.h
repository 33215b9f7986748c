// A device as JavaScript sees it: a run queue whose results come back as promises.
#pragma once

#include <napi.h>

#include <memory>
#include <string>

#include "core/run_queue.h"

namespace quipu::binding {

class DeviceWrap : public Napi::ObjectWrap<DeviceWrap> {
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
  void close(Napi::Env env);
  static void onEnvironmentExit(void* self);

  std::unique_ptr<RunQueue> queue_;
  Completion completion_;
  uint32_t pending_ = 0;  // runs in flight; the event loop stays alive while there are any
};

}  // namespace quipu::binding
