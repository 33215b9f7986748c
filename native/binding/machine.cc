#include "binding/machine.h"

#include <atomic>
#include <string>

#include "binding/errors.h"
#include "cpu/roofs.h"
#include "cpu/targets.h"

namespace quipu::binding {

namespace {

class RoofWorker final : public Napi::AsyncWorker {
 public:
  RoofWorker(Napi::Env env, const cpu::Target& target, uint32_t threads, size_t bytes, uint32_t passes,
             Napi::Int32Array stop)
      : Napi::AsyncWorker(env),
        deferred_(Napi::Promise::Deferred::New(env)),
        target_(target),
        threads_(threads),
        bytes_(bytes),
        passes_(passes),
        stopReference_(Napi::Persistent(stop)),
        stop_(stop.Data()) {}

  Napi::Promise promise() const { return deferred_.Promise(); }

 protected:
  void Execute() override {
    const auto stop = [this] { return std::atomic_ref<int32_t>(*stop_).load(std::memory_order_relaxed) != 0; };
    status_ = cpu::measureReadBandwidth(target_, threads_, bytes_, passes_, stop, bandwidth_);
    if (status_.ok()) status_ = cpu::measureMultiplyAdd(target_, threads_, passes_, stop, operations_);
  }
  void OnOK() override {
    if (!status_.ok()) return deferred_.Reject(toError(Env(), status_).Value());
    auto result = Napi::Array::New(Env(), 2);
    result.Set(0u, bandwidth_);
    result.Set(1u, operations_);
    deferred_.Resolve(result);
  }

 private:
  Napi::Promise::Deferred deferred_;
  const cpu::Target& target_;
  uint32_t threads_;
  size_t bytes_;
  uint32_t passes_;
  Napi::Reference<Napi::Int32Array> stopReference_;  // keeps what stop_ points to
  int32_t* stop_;
  Status status_;
  double bandwidth_ = 0, operations_ = 0;
};

}  // namespace

Napi::Value targets(const Napi::CallbackInfo& info) {
  auto names = Napi::Array::New(info.Env());
  for (const cpu::Target* target : cpu::availableTargets()) names.Set(names.Length(), target->name);
  return names;
}

Napi::Value processors(const Napi::CallbackInfo& info) { return Napi::Number::New(info.Env(), cpu::processors()); }

Napi::Value measureRoofs(const Napi::CallbackInfo& info) {
  if (!info[0].IsString()) wrongArgument(info.Env(), "(target, threads, bytes, passes, stop)");
  const cpu::Target* target = cpu::findTarget(info[0].As<Napi::String>().Utf8Value());
  const size_t threads = toSize(info[1], "a count of threads"), bytes = toSize(info[2], "a count of bytes");
  const size_t passes = toSize(info[3], "a count of passes");
  if (!info[4].IsTypedArray() || info[4].As<Napi::TypedArray>().TypedArrayType() != napi_int32_array ||
      info[4].As<Napi::Int32Array>().ElementLength() < 1) {
    wrongArgument(info.Env(), "an Int32Array of one element");
  }
  if (target == nullptr || threads < 1 || threads > 1024 || bytes < 4096 * threads || passes < 1) {
    wrongArgument(info.Env(), "a target of this machine, threads, bytes and passes");
  }
  auto* worker = new RoofWorker(info.Env(), *target, static_cast<uint32_t>(threads), bytes,
                                static_cast<uint32_t>(passes), info[4].As<Napi::Int32Array>());
  const Napi::Promise promise = worker->promise();
  worker->Queue();  // deletes itself when it is done
  return promise;
}

}  // namespace quipu::binding
