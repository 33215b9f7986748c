// The training of a vocabulary as JavaScript sees it: work is done on the counter's threads and comes back as promises.
#pragma once

#include <napi.h>

#include <memory>
#include <string>
#include <vector>

#include "binding/errors.h"
#include "tokenizer/piece_counter.h"

namespace quipu::binding {

class TrainerWrap : public Wrapped<TrainerWrap> {
 public:
  static constexpr napi_type_tag kTag = {0x71756970755f0006, 0x747261696e657200};
  static Napi::Function define(Napi::Env env);
  explicit TrainerWrap(const Napi::CallbackInfo& info);
  ~TrainerWrap() override;

 private:
  struct Pending;  // a promise that JavaScript waits for
  static void settle(Napi::Env env, Napi::Function, std::nullptr_t*, Pending* pending);
  using Completion = Napi::TypedThreadSafeFunction<std::nullptr_t, Pending, settle>;

  Napi::Value count(const Napi::CallbackInfo& info);
  Napi::Value spill(const Napi::CallbackInfo& info);
  Napi::Value train(const Napi::CallbackInfo& info);
  Napi::Value runs(const Napi::CallbackInfo& info);
  Napi::Value mergesDone(const Napi::CallbackInfo& info);
  Napi::Value summary(const Napi::CallbackInfo& info);
  void merges(const Napi::CallbackInfo& info);
  Napi::Value cut(const Napi::CallbackInfo& info);
  void cancel(const Napi::CallbackInfo& info);
  void dispose(const Napi::CallbackInfo& info);

  tokenizer::PieceCounter& counter(Napi::Env env);
  // Hands `begin` what to call when its task is done, and returns the promise that then settles.
  template <typename Begin>
  Napi::Value promised(const Napi::CallbackInfo& info, Begin begin);
  void close(Napi::Env env);
  static void onEnvironmentExit(void* self);

  tokenizer::Pattern pattern_;
  std::vector<tokenizer::MergeRule> merges_;
  tokenizer::TrainingSummary summary_;
  std::unique_ptr<tokenizer::PieceCounter> counter_;
  Completion completion_;
  uint32_t pending_ = 0;  // the event loop stays alive while there are any
};

}  // namespace quipu::binding
