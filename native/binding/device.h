// A device as JavaScript sees it: jobs for the run queue whose results come back as promises.
#pragma once

#include <napi.h>

#include <memory>

#include "binding/errors.h"
#include "core/device.h"

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

  Napi::Value buffer(const Napi::CallbackInfo& info);
  Napi::Value place(const Napi::CallbackInfo& info);
  Napi::Value placeMatrix(const Napi::CallbackInfo& info);
  Napi::Value section(const Napi::CallbackInfo& info);
  Napi::Value upload(const Napi::CallbackInfo& info);
  Napi::Value freeMemory(const Napi::CallbackInfo& info);
  Napi::Value packedLayout(const Napi::CallbackInfo& info);
  Napi::Value program(const Napi::CallbackInfo& info);
  Napi::Value run(const Napi::CallbackInfo& info);
  void cancel(const Napi::CallbackInfo& info);
  Napi::Value threads(const Napi::CallbackInfo& info);
  Napi::Value memory(const Napi::CallbackInfo& info);
  void dispose(const Napi::CallbackInfo& info);
  void close(Napi::Env env);
  static void onEnvironmentExit(void* self);

  std::shared_ptr<Device> device_;
  Completion completion_;
  uint32_t pending_ = 0;  // runs in flight; the event loop stays alive while there are any
};

}  // namespace quipu::binding
