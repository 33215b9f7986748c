#include "binding/machine.h"

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "binding/arguments.h"
#include "binding/errors.h"
#include "binding/promise_worker.h"
#include "cpu/roofs.h"
#include "cpu/targets.h"

namespace quipu::binding {

namespace {

// Measures one roof on a thread of its own, until it is done or stop[0] is other than 0.
class RoofWorker final : public PromiseWorker {
 public:
  using Measure = std::function<Status(const cpu::Stop& stop, double& perSecond)>;

  RoofWorker(Napi::Env env, Napi::Int32Array stop, Measure measure)
      : PromiseWorker(env, "quipu roof"),
        stopReference_(Napi::Persistent(stop)),
        stop_(stop.Data()),
        measure_(std::move(measure)) {}

 protected:
  Status work() override {
    return measure_([this] { return std::atomic_ref<int32_t>(*stop_).load(std::memory_order_relaxed) != 0; },
                    perSecond_);
  }
  Napi::Value result(Napi::Env env) override { return Napi::Number::New(env, perSecond_); }

 private:
  Napi::Reference<Napi::Int32Array> stopReference_;  // keeps what stop_ points to
  int32_t* stop_;
  Measure measure_;
  double perSecond_ = 0;
};

const cpu::Target& targetOf(const Arguments& arguments, const std::string& name) {
  const cpu::Target* target = cpu::findTarget(name);
  if (target == nullptr) arguments.wrong(0, "a target of this machine");
  return *target;
}

}  // namespace

Napi::Value targets(const Napi::CallbackInfo& info) {
  auto names = Napi::Array::New(info.Env());
  for (const cpu::Target* target : cpu::availableTargets()) names.Set(names.Length(), target->name);
  return names;
}

Napi::Value describeBuild(const Napi::CallbackInfo& info) {
#if defined(__clang__)
  const std::string version = __clang_version__;  // "22.1.0 (where it is from)"
  const std::string compiler = "clang " + version.substr(0, version.find(' '));
#else
  const std::string compiler = "g++ " + std::string(__VERSION__).substr(0, std::string_view(__VERSION__).find(' '));
#endif
#if defined(__GLIBC__)
  const std::string glibc = std::to_string(__GLIBC__) + "." + std::to_string(__GLIBC_MINOR__);
#else
  const std::string glibc;
#endif
  auto build = Napi::Array::New(info.Env(), 2);
  build.Set(0u, compiler);
  build.Set(1u, glibc);
  return build;
}

Napi::Value processors(const Napi::CallbackInfo& info) { return Napi::Number::New(info.Env(), cpu::processors()); }

Napi::Value measureReadBandwidth(const Napi::CallbackInfo& info) {
  const Arguments arguments(info, "measureReadBandwidth(target, threads, bytes, passes, stop)");
  const auto [name, threads, bytes, passes, stop] =
      arguments.read<std::string, Threads, Size, Whole<1, UINT32_MAX>, Napi::Int32Array>();
  const cpu::Target& target = targetOf(arguments, name);
  if (bytes < 4096 * threads) arguments.wrong(2, "a page for each thread");
  if (stop.ElementLength() < 1) arguments.wrong(4, "an array of one element");
  const auto measure = [&target, threads = static_cast<uint32_t>(threads), bytes = bytes,
                        passes = static_cast<uint32_t>(passes)](const cpu::Stop& stopped, double& perSecond) {
    return cpu::measureReadBandwidth(target, threads, bytes, passes, stopped, perSecond);
  };
  return (new RoofWorker(info.Env(), stop, measure))->start();
}

Napi::Value measureOperations(const Napi::CallbackInfo& info) {
  const Arguments arguments(info, "measureOperations(target, threads, codes, stop)");
  const auto [name, threads, codes, stop] = arguments.read<std::string, Threads, bool, Napi::Int32Array>();
  const cpu::Target& target = targetOf(arguments, name);
  if (stop.ElementLength() < 1) arguments.wrong(3, "an array of one element");
  const auto measure = [loop = codes ? target.integerLoop : target.multiplyAddLoop,
                        threads = static_cast<uint32_t>(threads)](const cpu::Stop& stopped, double& perSecond) {
    return cpu::measureOperations(loop, threads, stopped, perSecond);
  };
  return (new RoofWorker(info.Env(), stop, measure))->start();
}

}  // namespace quipu::binding
