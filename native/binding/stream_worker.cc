#include "binding/stream_worker.h"

#include "binding/errors.h"
#include "binding/tokenizer.h"

namespace quipu::binding {

namespace {

class StreamWorker final : public Napi::AsyncWorker {
 public:
  StreamWorker(Napi::Env env, Napi::Object owner, EncodeStreamWrap& stream, tokenizer::Text text, bool isEnd)
      : Napi::AsyncWorker(env, "quipu encode stream"),
        deferred_(Napi::Promise::Deferred::New(env)),
        owner_(Napi::Persistent(owner)),
        stream_(stream),
        text_(text),
        isEnd_(isEnd) {}

  Napi::Promise promise() const { return deferred_.Promise(); }

 protected:
  void Execute() override {
    try {
      status_ = stream_.encode(text_, isEnd_, ids_);
    } catch (const std::bad_alloc&) {
      status_ = Status::error(ErrorCode::kOutOfMemory, "not enough memory for this text");
    }
  }

  void OnOK() override {
    stream_.setBusy(false);
    if (!status_.ok()) return deferred_.Reject(toError(Env(), status_).Value());
    deferred_.Resolve(takeIds(Env(), std::move(ids_)));
  }

  void OnError(const Napi::Error& error) override {
    stream_.setBusy(false);
    deferred_.Reject(error.Value());
  }

 private:
  Napi::Promise::Deferred deferred_;
  Napi::ObjectReference owner_;
  EncodeStreamWrap& stream_;
  tokenizer::Text text_;
  bool isEnd_;
  tokenizer::IdSink ids_{true};
  Status status_;
};

}  // namespace

Napi::Value encodeLater(Napi::Env env, Napi::Object owner, EncodeStreamWrap& stream, tokenizer::Text text, bool isEnd) {
  auto* worker = new StreamWorker(env, owner, stream, text, isEnd);
  const Napi::Promise promise = worker->promise();
  worker->Queue();  // deletes itself when it is done
  stream.setBusy(true);
  return promise;
}

}  // namespace quipu::binding
