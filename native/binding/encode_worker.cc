// Texts encoded on other threads. The JavaScript thread hands them over one by one, as only it may read its strings;
// the others begin with the first.
#include <algorithm>
#include <atomic>
#include <cstring>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "binding/arguments.h"
#include "binding/errors.h"
#include "binding/promise_worker.h"
#include "binding/tokenizer.h"
#include "core/thread.h"

namespace quipu::binding {

namespace {

using tokenizer::IdSink;

class EncodeWorker final : public PromiseWorker {
 public:
  EncodeWorker(Napi::Env env, std::shared_ptr<const tokenizer::TextTokenizer> tokenizer, size_t texts, bool keep,
               tokenizer::EncodeOptions options, size_t threads)
      : PromiseWorker(env, "quipu encode"),
        tokenizer_(std::move(tokenizer)),
        options_(std::move(options)),
        keep_(keep),
        inputs_(texts),
        results_(texts) {
    for (size_t i = 0; i < threads; ++i) sinks_.emplace_back(keep);
  }

  // On the JavaScript thread: the next text is there. Whatever is wrong with it, the other threads must not wait for
  // it.
  void hand(const Napi::Array& texts, uint32_t index) {
    try {
      inputs_[index].read(texts.Get(index));
    } catch (const Napi::Error& error) {
      fail(Status::error(ErrorCode::kUsage, "texts[" + std::to_string(index) + "]: " + error.Message()));
    } catch (const std::bad_alloc&) {
      fail(Status::error(ErrorCode::kOutOfMemory, "not enough memory for these texts"));
    }
    handed_.store(index + 1, std::memory_order_release);
    handed_.notify_all();
  }

 protected:
  Status work() override {
    std::vector<std::thread> others;
    // Where the system refuses a thread, those that are there do its share.
    for (size_t i = 1; i < sinks_.size() && startThread(others, [this, i] { encodeTexts(i); }); ++i) {
    }
    encodeTexts(0);
    for (std::thread& other : others) other.join();
    return std::move(status_);
  }

  Napi::Value result(Napi::Env env) override {
    std::vector<double> places;
    places.reserve(results_.size() * 3);
    for (const Result& result : results_) {
      places.push_back(static_cast<double>(result.sink));
      places.push_back(static_cast<double>(result.start));
      places.push_back(static_cast<double>(result.count));
    }
    auto value = Napi::Object::New(env);
    value.Set("places", toArrayBuffer(env, places.data(), places.size() * sizeof(double)));
    if (keep_) {
      auto ids = Napi::Array::New(env, sinks_.size());
      for (uint32_t i = 0; i < sinks_.size(); ++i) ids.Set(i, takeIds(env, std::move(sinks_[i])));
      value.Set("ids", ids);
    }
    return value;
  }

 private:
  // Ids of a text: a part of what its thread made.
  struct Result {
    size_t sink = 0, start = 0, count = 0;
  };

  void encodeTexts(size_t which) {
    IdSink& sink = sinks_[which];
    std::optional<tokenizer::TextTokenizer::Lease> encoder;
    for (;;) {
      const size_t index = next_.fetch_add(1, std::memory_order_relaxed);
      if (index >= inputs_.size()) return;
      for (size_t handed; (handed = handed_.load(std::memory_order_acquire)) <= index;) handed_.wait(handed);
      if (failed_.load(std::memory_order_relaxed)) continue;
      try {
        if (!encoder) encoder.emplace(*tokenizer_);
        const size_t start = sink.count();
        const Status status = tokenizer_->encode(inputs_[index].text(), options_, {}, **encoder, sink);
        results_[index] = {which, start, sink.count() - start};
        if (!status.ok()) fail(status);
        inputs_[index] = {};
      } catch (const std::bad_alloc&) {
        fail({ErrorCode::kOutOfMemory, {}});
      }
    }
  }

  void fail(Status status) {
    const std::lock_guard lock(mutex_);
    if (!failed_.exchange(true)) status_ = std::move(status);
  }

  std::shared_ptr<const tokenizer::TextTokenizer> tokenizer_;
  tokenizer::EncodeOptions options_;
  bool keep_;
  std::vector<TextInput> inputs_;
  std::vector<IdSink> sinks_;  // one for each thread
  std::vector<Result> results_;
  std::atomic<size_t> handed_{0}, next_{0};
  std::atomic<bool> failed_{false};
  std::mutex mutex_;
  Status status_;
};

}  // namespace

// encodeAll(texts, keep, threads, allowed, refusesOthers, beginning) → Promise<{ places, ids? }>: for each text the
// buffer of its ids, where they begin in it and their count (f64), and the buffers
Napi::Value encodeOffThread(const Napi::CallbackInfo& info, std::shared_ptr<const tokenizer::TextTokenizer> tokenizer) {
  const Napi::Env env = info.Env();
  const Arguments arguments(info, "encodeAll(texts, keep, threads, allowed, refusesOthers, beginning)");
  const auto [texts, keep, threads] = arguments.read<Napi::Array, bool, Size>();
  auto options = encodeOptions(arguments, 3, *tokenizer);
  const uint32_t count = texts.Length();
  auto* worker =
      new EncodeWorker(env, std::move(tokenizer), count, keep, std::move(options), std::clamp<size_t>(threads, 1, 64));
  const Napi::Promise promise = worker->start();
  for (uint32_t i = 0; i < count; ++i) worker->hand(texts, i);
  return promise;
}

}  // namespace quipu::binding
