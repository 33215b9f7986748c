#include "binding/machine.h"

#include <atomic>
#include <string>

#include "binding/arguments.h"
#include "binding/errors.h"
#include "binding/promise_worker.h"
#include "cpu/roofs.h"
#include "cpu/targets.h"

namespace quipu::binding {

namespace {

class RoofWorker final : public PromiseWorker {
 public:
  RoofWorker(Napi::Env env, const cpu::Target& target, uint32_t threads, size_t bytes, uint32_t passes,
             Napi::Int32Array stop)
      : PromiseWorker(env, "quipu roofs"),
        target_(target),
        threads_(threads),
        bytes_(bytes),
        passes_(passes),
        stopReference_(Napi::Persistent(stop)),
        stop_(stop.Data()) {}

 protected:
  Status work() override {
    const auto stop = [this] { return std::atomic_ref<int32_t>(*stop_).load(std::memory_order_relaxed) != 0; };
    Status status = cpu::measureReadBandwidth(target_, threads_, bytes_, passes_, stop, bandwidth_);
    if (!status.ok()) return status;
    for (size_t i = 0; i < 2; ++i) {
      const auto loop = i == 0 ? target_.multiplyAddLoop : target_.integerLoop;
      status = cpu::measureOperations(loop, threads_, stop, operations_[i]);
      if (!status.ok()) return status;
    }
    return {};
  }
  Napi::Value result(Napi::Env env) override {
    auto roofs = Napi::Array::New(env, 3);
    roofs.Set(0u, bandwidth_);
    roofs.Set(1u, operations_[0]);
    roofs.Set(2u, operations_[1]);
    return roofs;
  }

 private:
  const cpu::Target& target_;
  uint32_t threads_;
  size_t bytes_;
  uint32_t passes_;
  Napi::Reference<Napi::Int32Array> stopReference_;  // keeps what stop_ points to
  int32_t* stop_;
  double bandwidth_ = 0, operations_[2] = {};
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
  return worker->start();
}

}  // namespace quipu::binding
