#include "binding/machine.h"

#include <atomic>
#include <new>
#include <string>

#include "binding/arguments.h"
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
    try {
      status_ = cpu::measureReadBandwidth(target_, threads_, bytes_, passes_, stop, bandwidth_);
      if (status_.ok()) status_ = cpu::measureMultiplyAdd(target_, threads_, passes_, stop, operations_);
    } catch (const std::bad_alloc&) {
      status_ = {ErrorCode::kOutOfMemory, {}};
    }
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
  const Arguments arguments(info, "measureRoofs(target, threads, bytes, passes, stop)");
  const auto [name, threads, bytes, passes, stop] =
      arguments.read<std::string, Threads, Size, Whole<1, UINT32_MAX>, Napi::Int32Array>();
  const cpu::Target* target = cpu::findTarget(name);
  if (target == nullptr) arguments.wrong(0, "a target of this machine");
  if (bytes < 4096 * threads) arguments.wrong(2, "a page for each thread");
  if (stop.ElementLength() < 1) arguments.wrong(4, "an array of one element");
  auto* worker =
      new RoofWorker(info.Env(), *target, static_cast<uint32_t>(threads), bytes, static_cast<uint32_t>(passes), stop);
  const Napi::Promise promise = worker->promise();
  worker->Queue();  // deletes itself when it is done
  return promise;
}

}  // namespace quipu::binding
