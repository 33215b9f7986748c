#include "binding/trainer.h"

#include <optional>
#include <string_view>

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

std::vector<std::string> stringsOf(const Napi::Value& value) {
  if (!value.IsArray()) wrongArgument(value.Env(), "a list of strings");
  const auto list = value.As<Napi::Array>();
  std::vector<std::string> strings;
  for (uint32_t i = 0; i < list.Length(); ++i) {
    const Napi::Value item = list[i];
    if (!item.IsString()) wrongArgument(value.Env(), "a list of strings");
    strings.push_back(item.As<Napi::String>().Utf8Value());
  }
  return strings;
}

Napi::Uint8Array bytesOf(const Napi::Value& value) {
  if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != napi_uint8_array) {
    wrongArgument(value.Env(), "bytes");
  }
  return value.As<Napi::Uint8Array>();
}

}  // namespace

// new TokenizerTrainer(pattern, threads, memoryBytes, folder, runs)
TrainerWrap::TrainerWrap(const Napi::CallbackInfo& info) : Wrapped<TrainerWrap>(info) {
  const Napi::Env env = info.Env();
  info.This().As<Napi::Object>().TypeTag(&kTag);
  if (!info[0].IsString() || !info[3].IsString()) wrongArgument(env, "(pattern, threads, memoryBytes, folder, runs)");
  const auto pattern = patternNamed(info[0].As<Napi::String>().Utf8Value());
  const size_t threads = toSize(info[1], "a count of threads"), memory = toSize(info[2], "a count of bytes");
  if (!pattern || threads < 1 || threads > 1024) wrongArgument(env, "the name of a pattern and 1 to 1024 threads");
  pattern_ = *pattern;
  guarded(env, [&] {
    tokenizer::CounterOptions options{pattern_, static_cast<uint32_t>(threads), memory,
                                      info[3].As<Napi::String>().Utf8Value(), stringsOf(info[4])};
    check(env, PieceCounter::start(std::move(options), counter_));
  });
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

// count(bytes, ends: Uint32Array) → Promise. The bytes are copied now.
Napi::Value TrainerWrap::count(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  PieceCounter& work = counter(env);
  const Napi::Uint8Array bytes = bytesOf(info[0]);
  if (!info[1].IsTypedArray() || info[1].As<Napi::TypedArray>().TypedArrayType() != napi_uint32_array) {
    wrongArgument(env, "ends of texts");
  }
  const auto ends = info[1].As<Napi::Uint32Array>();
  PieceCounter::Batch batch;
  size_t last = 0;
  for (size_t i = 0; i < ends.ElementLength(); ++i) {
    if (ends[i] < last || ends[i] > bytes.ByteLength()) wrongArgument(env, "ends of texts, ascending");
    batch.ends.push_back(last = ends[i]);
  }
  batch.bytes.reserve(last + 8);
  batch.bytes.assign(bytes.Data(), bytes.Data() + last);
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
  tokenizer::MergeOptions options{toSize(info[0], "a count of merges"), toSize(info[1], "a frequency"),
                                  stringsOf(info[3])};
  const size_t minPieceCount = toSize(info[2], "a count of pieces");
  return promised(info, [&](PieceCounter::Done done) {
    work.train(std::move(options), minPieceCount, merges_, summary_, std::move(done));
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
  const auto isArray = [&](size_t i, napi_typedarray_type type, size_t length) {
    return info[i].IsTypedArray() && info[i].As<Napi::TypedArray>().TypedArrayType() == type &&
           info[i].As<Napi::TypedArray>().ElementLength() == length;
  };
  if (!isArray(0, napi_uint32_array, merges_.size() * 2) || !isArray(1, napi_float64_array, merges_.size())) {
    wrongArgument(info.Env(), "arrays for the merges and their counts");
  }
  auto pairs = info[0].As<Napi::Uint32Array>();
  auto counts = info[1].As<Napi::Float64Array>();
  for (size_t i = 0; i < merges_.size(); ++i) {
    pairs[2 * i] = merges_[i].left;
    pairs[2 * i + 1] = merges_[i].right;
    counts[i] = static_cast<double>(merges_[i].count);
  }
}

// cut(bytes) → where a long text may be cut, 0 for nowhere yet
Napi::Value TrainerWrap::cut(const Napi::CallbackInfo& info) {
  const Napi::Uint8Array bytes = bytesOf(info[0]);
  return Napi::Number::New(info.Env(),
                           static_cast<double>(tokenizer::pieceCut(pattern_, bytes.Data(), bytes.ByteLength())));
}

void TrainerWrap::cancel(const Napi::CallbackInfo& info) { counter(info.Env()).cancel(); }

}  // namespace quipu::binding
