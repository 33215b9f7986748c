#include "binding/trainer.h"

#include <optional>
#include <string_view>

#include "binding/arguments.h"
#include "binding/errors.h"

namespace quipu::binding {

using tokenizer::PieceCounter;

struct TrainerWrap::Pending {
  Napi::Promise::Deferred deferred;
  Napi::ObjectReference trainer;  // keeps it from being collected meanwhile
  Status status;
};

Napi::Function TrainerWrap::define(Napi::Env env) {
  return DefineClass(env, "TokenizerTrainer",
                     {method<&TrainerWrap::count>("count"), method<&TrainerWrap::spill>("spill"),
                      method<&TrainerWrap::train>("train"), method<&TrainerWrap::runs>("runs"),
                      method<&TrainerWrap::mergesDone>("mergesDone"), method<&TrainerWrap::summary>("summary"),
                      method<&TrainerWrap::merges>("merges"), method<&TrainerWrap::cut>("cut"),
                      method<&TrainerWrap::cancel>("cancel"), method<&TrainerWrap::dispose>("dispose")});
}

namespace {

std::optional<tokenizer::Pattern> patternNamed(std::string_view name) {
  if (name == "llama3") return tokenizer::Pattern::kLlama3;
  if (name == "gpt2") return tokenizer::Pattern::kGpt2;
  if (name == "o200k") return tokenizer::Pattern::kO200k;
  return std::nullopt;
}

}  // namespace

TrainerWrap::TrainerWrap(const Napi::CallbackInfo& info) : Wrapped<TrainerWrap>(info) {
  const Napi::Env env = info.Env();
  info.This().As<Napi::Object>().TypeTag(&kTag);
  const Arguments arguments(info, "new TokenizerTrainer(pattern, threads, memoryBytes, folder, runs)");
  auto [name, threads, memory, folder, runs] =
      arguments.read<std::string, Threads, Size, std::string, std::vector<std::string>>();
  const auto pattern = patternNamed(name);
  if (!pattern) arguments.wrong(0, "the name of a pattern");
  pattern_ = *pattern;
  tokenizer::CounterOptions options{pattern_, static_cast<uint32_t>(threads), memory, std::move(folder),
                                    std::move(runs)};
  guarded(env, [&] { check(env, PieceCounter::start(std::move(options), counter_)); });
  completion_ = Completion::New(env, "quipu training", 0, 1, nullptr);
  completion_.Unref(env);
  // Registered after the completion, so it runs before that is torn down: the counter's threads are joined first.
  napi_add_env_cleanup_hook(env, onEnvironmentExit, this);
}

TrainerWrap::~TrainerWrap() { close(Env()); }

void TrainerWrap::close(Napi::Env env) {
  if (counter_ == nullptr) return;
  napi_remove_env_cleanup_hook(env, onEnvironmentExit, this);
  counter_.reset();
  completion_.Release();
}

// The process or worker ends: pending promises are never settled.
void TrainerWrap::onEnvironmentExit(void* self) { static_cast<TrainerWrap*>(self)->counter_.reset(); }

void TrainerWrap::dispose(const Napi::CallbackInfo& info) { close(info.Env()); }

PieceCounter& TrainerWrap::counter(Napi::Env env) {
  if (counter_ == nullptr) throw toError(env, Status::error(ErrorCode::kDisposed, "the training is over"));
  return *counter_;
}

template <typename Begin>
Napi::Value TrainerWrap::promised(const Napi::CallbackInfo& info, Begin begin) {
  auto pending = std::unique_ptr<Pending>(
      new Pending{Napi::Promise::Deferred::New(info.Env()), Napi::Persistent(info.This().As<Napi::Object>()), {}});
  begin([completion = completion_, raw = pending.get()](const Status& status) {
    raw->status = status;
    completion.NonBlockingCall(raw);
  });
  if (pending_++ == 0) completion_.Ref(info.Env());
  return pending.release()->deferred.Promise();  // settle() owns it: on this thread, so not before this returns
}

// On the JavaScript thread, when a task is done.
void TrainerWrap::settle(Napi::Env env, Napi::Function, std::nullptr_t*, Pending* raw) {
  const std::unique_ptr<Pending> pending(raw);
  if (env == nullptr) {  // the environment is being torn down: its references go with it
    pending->trainer.SuppressDestruct();
    return;
  }
  TrainerWrap& trainer = *Unwrap(pending->trainer.Value());
  if (--trainer.pending_ == 0 && trainer.counter_ != nullptr) trainer.completion_.Unref(env);
  if (pending->status.ok()) {
    pending->deferred.Resolve(env.Undefined());
  } else {
    pending->deferred.Reject(toError(env, pending->status).Value());
  }
}

// count(bytes: Uint8Array, ends: Uint32Array) → Promise. The bytes are copied now.
Napi::Value TrainerWrap::count(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  PieceCounter& work = counter(env);
  const Arguments arguments(info, "count(bytes, ends)");
  const auto [bytes, ends] = arguments.read<std::span<const uint8_t>, std::span<const uint32_t>>();
  PieceCounter::Batch batch;
  size_t last = 0;
  for (const uint32_t end : ends) {
    if (end < last || end > bytes.size()) arguments.wrong(1, "ascending places in the bytes");
    batch.ends.push_back(last = end);
  }
  batch.bytes.reserve(last + 8);
  batch.bytes.assign(bytes.data(), bytes.data() + last);
  batch.bytes.resize(last + 8);
  return promised(info, [&](PieceCounter::Done done) { work.count(std::move(batch), std::move(done)); });
}

// spill() → Promise: all counts are in the files that runs() names
Napi::Value TrainerWrap::spill(const Napi::CallbackInfo& info) {
  PieceCounter& work = counter(info.Env());
  return promised(info, [&](PieceCounter::Done done) { work.spill(std::move(done)); });
}

// train(merges, minFrequency, minPieceCount, forbidden) → Promise; then summary() and merges(…) have the result
Napi::Value TrainerWrap::train(const Napi::CallbackInfo& info) {
  PieceCounter& work = counter(info.Env());
  const Arguments arguments(info, "train(merges, minFrequency, minPieceCount, forbidden)");
  auto [merges, minFrequency, minPieceCount, forbidden] = arguments.read<Size, Size, Size, std::vector<std::string>>();
  tokenizer::MergeOptions options{merges, minFrequency, std::move(forbidden)};
  return promised(info, [&, least = minPieceCount](PieceCounter::Done done) {
    work.train(std::move(options), least, merges_, summary_, std::move(done));
  });
}

Napi::Value TrainerWrap::runs(const Napi::CallbackInfo& info) {
  auto list = Napi::Array::New(info.Env());
  for (const std::string& run : counter(info.Env()).runs()) list.Set(list.Length(), run);
  return list;
}

Napi::Value TrainerWrap::mergesDone(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), static_cast<double>(counter(info.Env()).mergesDone()));
}

// summary() → [merges, pieces counted, distinct pieces], after train()
Napi::Value TrainerWrap::summary(const Napi::CallbackInfo& info) {
  auto list = Napi::Array::New(info.Env(), 3);
  list.Set(0u, static_cast<double>(merges_.size()));
  list.Set(1u, static_cast<double>(summary_.pieces));
  list.Set(2u, static_cast<double>(summary_.distinct));
  return list;
}

// merges(pairs: Uint32Array [merges, 2], counts: Float64Array [merges]): filled
void TrainerWrap::merges(const Napi::CallbackInfo& info) {
  const Arguments arguments(info, "merges(pairs, counts)");
  const auto [pairs, counts] = arguments.read<std::span<uint32_t>, std::span<double>>();
  if (pairs.size() != merges_.size() * 2) arguments.wrong(0, "two elements a merge");
  if (counts.size() != merges_.size()) arguments.wrong(1, "an element a merge");
  for (size_t i = 0; i < merges_.size(); ++i) {
    pairs[2 * i] = merges_[i].left;
    pairs[2 * i + 1] = merges_[i].right;
    counts[i] = static_cast<double>(merges_[i].count);
  }
}

// cut(bytes) → where a long text may be cut, 0 for nowhere yet
Napi::Value TrainerWrap::cut(const Napi::CallbackInfo& info) {
  const auto [bytes] = Arguments(info, "cut(bytes)").read<std::span<const uint8_t>>();
  return Napi::Number::New(info.Env(), static_cast<double>(tokenizer::pieceCut(pattern_, bytes.data(), bytes.size())));
}

void TrainerWrap::cancel(const Napi::CallbackInfo& info) { counter(info.Env()).cancel(); }

}  // namespace quipu::binding
