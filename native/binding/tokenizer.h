// Vocabularies and tokenizers as JavaScript sees them. Ids come back as array buffers of i32.
#pragma once

#include <napi.h>

#include <memory>
#include <optional>

#include "binding/arguments.h"
#include "binding/errors.h"
#include "binding/external_memory.h"
#include "binding/text_input.h"
#include "tokenizer/stream_encoder.h"
#include "tokenizer/text_tokenizer.h"
#include "tokenizer/vocabulary_file.h"

namespace quipu::binding {

Napi::Value normalize(const Napi::CallbackInfo& info);

class VocabularyWrap : public Wrapped<VocabularyWrap> {
 public:
  static constexpr napi_type_tag kTag = {0x71756970755f0007, 0x766f636162000000};
  static Napi::Function define(Napi::Env env);
  explicit VocabularyWrap(const Napi::CallbackInfo& info);

  const tokenizer::Vocabulary& get() const { return vocabulary_; }

 private:
  Napi::Value document(const Napi::CallbackInfo& info);
  Napi::Value problem(const Napi::CallbackInfo& info);
  Napi::Value tokens(const Napi::CallbackInfo& info);
  Napi::Value hasAllBytes(const Napi::CallbackInfo& info);
  Napi::Value ofCharacters(const Napi::CallbackInfo& info);
  Napi::Value find(const Napi::CallbackInfo& info);
  Napi::Value isMerged(const Napi::CallbackInfo& info);
  Napi::Value fallback(const Napi::CallbackInfo& info);
  Napi::Value prepared(const Napi::CallbackInfo& info);
  uint32_t tokenOf(const std::string& text) const;
  void readPieces(const Napi::CallbackInfo& info);

  tokenizer::Vocabulary vocabulary_;
  bool prepared_ = false;
};

class TokenizerWrap : public Wrapped<TokenizerWrap> {
 public:
  static constexpr napi_type_tag kTag = {0x71756970755f0008, 0x746f6b656e697a65};
  static Napi::Function define(Napi::Env env);
  explicit TokenizerWrap(const Napi::CallbackInfo& info);

  const std::shared_ptr<const tokenizer::TextTokenizer>& get() const { return tokenizer_; }

 private:
  Napi::Value vocabSize(const Napi::CallbackInfo& info);
  Napi::Value encode(const Napi::CallbackInfo& info);
  Napi::Value count(const Napi::CallbackInfo& info);
  Napi::Value parts(const Napi::CallbackInfo& info);
  Napi::Value encodePieces(const Napi::CallbackInfo& info);
  Napi::Value encodeAll(const Napi::CallbackInfo& info);
  Napi::Value decode(const Napi::CallbackInfo& info);
  Napi::Value decodeBytes(const Napi::CallbackInfo& info);
  Napi::Value bytesOf(const Napi::CallbackInfo& info);

  // For a text: its first makes an encoder, of whose memory V8 is told. Told of it sooner, V8 collects while
  // vocabularies are loaded.
  const tokenizer::TextTokenizer& encoder(Napi::Env env) {
    if (!memory_) memory_.emplace(env, tokenizer::Encoder::kCacheBytes);
    return *tokenizer_;
  }

  std::shared_ptr<const tokenizer::TextTokenizer> tokenizer_;
  TextInput input_;
  std::optional<ExternalMemory> memory_;
};

class EncodeStreamWrap : public Wrapped<EncodeStreamWrap> {
 public:
  static constexpr napi_type_tag kTag = {0x71756970755f0009, 0x73747265616d0000};
  static Napi::Function define(Napi::Env env);
  explicit EncodeStreamWrap(const Napi::CallbackInfo& info);

  // On any thread, one call at a time: `text`, or the end.
  Status encode(tokenizer::Text text, bool isEnd, tokenizer::IdSink& ids) {
    return isEnd ? stream_->end(ids) : stream_->push(text.data, text.bytes, ids);
  }
  // On the JavaScript thread: whether another has it.
  void setBusy(bool busy) { busy_ = busy; }

 private:
  Napi::Value push(const Napi::CallbackInfo& info);
  Napi::Value end(const Napi::CallbackInfo& info);
  void cancel(const Napi::CallbackInfo& info);
  Napi::Value run(const Napi::CallbackInfo& info, tokenizer::Text text, bool isEnd);
  void checkIdle(Napi::Env env) const;

  std::unique_ptr<tokenizer::StreamEncoder> stream_;
  TextInput input_;
  bool busy_ = false;
  const ExternalMemory memory_;  // of its encoder
};

// Of a tokenizer's call: (allowed: Uint8Array, refusesOthers, beginning or -1) from argument `at` on.
tokenizer::EncodeOptions encodeOptions(const Arguments& arguments, size_t at, const tokenizer::TextTokenizer& of);

Napi::ArrayBuffer toArrayBuffer(Napi::Env env, const void* data, size_t bytes);

// Many ids are handed over without a copy where the runtime accepts external memory; others are copied.
Napi::Value takeIds(Napi::Env env, tokenizer::IdSink&& ids);

// encodeAll on threads of its own; see encode_worker.cc.
Napi::Value encodeOffThread(const Napi::CallbackInfo& info, std::shared_ptr<const tokenizer::TextTokenizer> tokenizer);

}  // namespace quipu::binding
