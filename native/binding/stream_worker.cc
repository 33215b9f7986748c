#include "binding/stream_worker.h"

#include "binding/promise_worker.h"
#include "binding/tokenizer.h"

namespace quipu::binding {

namespace {

class StreamWorker final : public PromiseWorker {
 public:
  StreamWorker(Napi::Env env, Napi::Object owner, EncodeStreamWrap& stream, tokenizer::Text text, bool isEnd)
      : PromiseWorker(env, "quipu encode stream"),
        owner_(Napi::Persistent(owner)),
        stream_(stream),
        text_(text),
        isEnd_(isEnd) {}

 protected:
  Status work() override { return stream_.encode(text_, isEnd_, ids_); }
  void done(Napi::Env) override { stream_.setBusy(false); }
  Napi::Value result(Napi::Env env) override { return takeIds(env, std::move(ids_)); }

 private:
  Napi::ObjectReference owner_;
  EncodeStreamWrap& stream_;
  tokenizer::Text text_;
  bool isEnd_;
  tokenizer::IdSink ids_{true};
};

}  // namespace

Napi::Value encodeLater(Napi::Env env, Napi::Object owner, EncodeStreamWrap& stream, tokenizer::Text text, bool isEnd) {
  auto* worker = new StreamWorker(env, owner, stream, text, isEnd);
  stream.setBusy(true);
  return worker->start();
}

}  // namespace quipu::binding
