#include "binding/tokenizer.h"

#include "binding/classes.h"
#include "binding/errors.h"
#include "binding/stream_worker.h"
#include "tokenizer/rank_file.h"
#include "tokenizer/unicode.h"

namespace quipu::binding {

using tokenizer::IdSink;
using tokenizer::Segment;

namespace {

constexpr size_t kTaken = 1 << 18;  // where copying ids takes longer than to keep track of memory

template <typename T>
std::span<const T> contents(const Napi::Value& value, napi_typedarray_type type) {
  if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != type) {
    wrongArgument(value.Env(), "another typed array");
  }
  const auto array = value.As<Napi::TypedArray>();
  const auto* bytes = static_cast<const uint8_t*>(array.ArrayBuffer().Data()) + array.ByteOffset();
  return {reinterpret_cast<const T*>(bytes), array.ElementLength()};
}

// V8 reads ASCII and UTF-16 several times as fast as UTF-8. It decides what bytes that are not UTF-8 become.
Napi::String toString(Napi::Env env, std::span<const uint8_t> text) {
  const auto* chars = reinterpret_cast<const char*>(text.data());
  uint64_t high = 0;
  size_t at = 0;
  for (uint64_t word; at + sizeof word <= text.size(); at += sizeof word) {
    memcpy(&word, chars + at, sizeof word);
    high |= word;
  }
  for (; at < text.size(); ++at) high |= text[at];
  napi_value value;
  if ((high & 0x8080808080808080) == 0) {
    if (napi_create_string_latin1(env, chars, text.size(), &value) != napi_ok) throw Napi::Error::New(env);
    return {env, value};
  }
  const std::unique_ptr<char16_t[]> utf16(new char16_t[text.size()]);
  size_t units;
  if (!tokenizer::toUtf16(text.data(), text.size(), utf16.get(), units)) {
    return Napi::String::New(env, chars, text.size());
  }
  if (napi_create_string_utf16(env, utf16.get(), units, &value) != napi_ok) throw Napi::Error::New(env);
  return {env, value};
}

}  // namespace

Napi::ArrayBuffer toArrayBuffer(Napi::Env env, const void* data, size_t bytes) {
  auto buffer = Napi::ArrayBuffer::New(env, bytes);
  if (bytes > 0) memcpy(buffer.Data(), data, bytes);
  return buffer;
}

Napi::Value takeIds(Napi::Env env, IdSink&& ids) {
  const size_t bytes = ids.ids().size_bytes();
  if (bytes >= kTaken) {
    uint32_t* const data = ids.release();
    napi_value value;
    const auto release = [](napi_env, void* memory, void*) { free(memory); };
    const napi_status status = napi_create_external_arraybuffer(env, data, bytes, release, nullptr, &value);
    if (status == napi_ok) return {env, value};
    const Freed<uint32_t> owner(data);
    return toArrayBuffer(env, data, bytes);
  }
  return toArrayBuffer(env, ids.ids().data(), bytes);
}

tokenizer::EncodeOptions encodeOptions(const Napi::CallbackInfo& info, size_t at, const tokenizer::TextTokenizer& of) {
  const auto allowed = contents<uint8_t>(info[at], napi_uint8_array);
  if (allowed.size() != of.added().list().size() || !info[at + 1].IsBoolean() || !info[at + 2].IsNumber()) {
    wrongArgument(info.Env(), "(allowed, refusesOthers, beginning)");
  }
  tokenizer::EncodeOptions options;
  options.allowed.assign(allowed.begin(), allowed.end());
  options.refusesOthers = info[at + 1].As<Napi::Boolean>().Value();
  const int32_t beginning = info[at + 2].As<Napi::Number>().Int32Value();
  if (beginning >= 0) options.beginning = static_cast<uint32_t>(beginning);
  return options;
}

Napi::Function VocabularyWrap::define(Napi::Env env) {
  return DefineClass(env, "Vocabulary",
                     {method<&VocabularyWrap::document>("document"), method<&VocabularyWrap::problem>("problem"),
                      method<&VocabularyWrap::tokens>("tokens"), method<&VocabularyWrap::hasAllBytes>("hasAllBytes"),
                      method<&VocabularyWrap::prepared>("prepared")});
}

// new Vocabulary("tokenizer.json" | "ranks", path, preparedPath) or ("packed", text)
VocabularyWrap::VocabularyWrap(const Napi::CallbackInfo& info) : Wrapped<VocabularyWrap>(info) {
  const Napi::Env env = info.Env();
  info.This().As<Napi::Object>().TypeTag(&kTag);
  if (!info[0].IsString() || !info[1].IsString()) wrongArgument(env, "(format, source)");
  const std::string format = info[0].As<Napi::String>(), source = info[1].As<Napi::String>();
  guarded(env, [&] {
    if (format == "packed") {
      std::shared_ptr<tokenizer::Tables> tables;
      check(env, tokenizer::readPackedRanks(source, tables));
      vocabulary_.tables = std::move(tables);
      return;
    }
    const auto kind =
        format == "ranks" ? tokenizer::VocabularyFormat::kRankFile : tokenizer::VocabularyFormat::kTokenizerJson;
    const std::string preparedPath = info[2].IsString() ? info[2].As<Napi::String>().Utf8Value() : std::string();
    check(env, tokenizer::loadVocabulary(source, kind, preparedPath, vocabulary_, prepared_));
  });
}

Napi::Value VocabularyWrap::document(const Napi::CallbackInfo& info) {
  return Napi::String::New(info.Env(), vocabulary_.document);
}

Napi::Value VocabularyWrap::problem(const Napi::CallbackInfo& info) {
  return Napi::String::New(info.Env(), vocabulary_.problem);
}

Napi::Value VocabularyWrap::tokens(const Napi::CallbackInfo& info) {
  double count = 0;
  const tokenizer::Tables* tables = vocabulary_.tables.get();
  for (uint32_t id = 0; tables != nullptr && id < tables->vocabSize(); ++id) count += !tables->bytesOf(id).empty();
  return Napi::Number::New(info.Env(), count);
}

Napi::Value VocabularyWrap::hasAllBytes(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), vocabulary_.tables != nullptr && vocabulary_.tables->hasAllBytes());
}

Napi::Value VocabularyWrap::prepared(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), prepared_);
}

Napi::Function TokenizerWrap::define(Napi::Env env) {
  return DefineClass(env, "Tokenizer",
                     {method<&TokenizerWrap::vocabSize>("vocabSize"), method<&TokenizerWrap::encode>("encode"),
                      method<&TokenizerWrap::count>("count"), method<&TokenizerWrap::parts>("parts"),
                      method<&TokenizerWrap::encodePieces>("encodePieces"),
                      method<&TokenizerWrap::encodeAll>("encodeAll"), method<&TokenizerWrap::decode>("decode"),
                      method<&TokenizerWrap::decodeBytes>("decodeBytes"), method<&TokenizerWrap::bytesOf>("bytesOf")});
}

// new Tokenizer(vocabulary, pattern or -1, wholePieces, form or -1, added: [id, text, flags] one after another)
TokenizerWrap::TokenizerWrap(const Napi::CallbackInfo& info) : Wrapped<TokenizerWrap>(info) {
  const Napi::Env env = info.Env();
  info.This().As<Napi::Object>().TypeTag(&kTag);
  const tokenizer::Vocabulary& vocabulary = unwrap<VocabularyWrap>(info[0]).get();
  if (vocabulary.tables == nullptr || !info[1].IsNumber() || !info[2].IsBoolean() || !info[3].IsNumber() ||
      !info[4].IsArray()) {
    wrongArgument(env, "(vocabulary, pattern, wholePieces, form, added)");
  }
  const int32_t pattern = info[1].As<Napi::Number>().Int32Value();
  std::optional<tokenizer::Pattern> known;
  if (pattern >= 0 && pattern < tokenizer::kPatterns) known = static_cast<tokenizer::Pattern>(pattern);
  const int32_t form = info[3].As<Napi::Number>().Int32Value();
  std::optional<tokenizer::Form> normalForm;
  if (form >= 0 && form < tokenizer::kForms) normalForm = static_cast<tokenizer::Form>(form);
  const auto list = info[4].As<Napi::Array>();
  const bool wholePieces = info[2].As<Napi::Boolean>().Value();
  guarded(env, [&] {
    std::vector<tokenizer::AddedToken> added;
    for (uint32_t i = 0; i + 2 < list.Length(); i += 3) {
      const size_t id = toSize(list.Get(i), "an id"), flags = toSize(list.Get(i + 2), "flags");
      if (id >= tokenizer::kNoToken) wrongArgument(env, "an id of 24 bits");
      added.push_back({static_cast<uint32_t>(id), list.Get(i + 1).As<Napi::String>().Utf8Value(), (flags & 1) != 0,
                       (flags & 2) != 0, (flags & 4) != 0, (flags & 8) != 0, (flags & 16) != 0});
    }
    tokenizer_ = std::make_shared<const tokenizer::TextTokenizer>(vocabulary.tables, known, wholePieces,
                                                                  tokenizer::Normalizer(normalForm), std::move(added));
  });
}

Napi::Value TokenizerWrap::vocabSize(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), tokenizer_->vocabSize());
}

// encode(text, allowed, refusesOthers, beginning) → ArrayBuffer
Napi::Value TokenizerWrap::encode(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    IdSink ids(true);
    input_.read(info[0]);
    check(info.Env(), encoder(info.Env()).encode(input_.text(), encodeOptions(info, 1, *tokenizer_), ids));
    return takeIds(info.Env(), std::move(ids));
  });
}

// count(text, allowed, refusesOthers, beginning) → number
Napi::Value TokenizerWrap::count(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    IdSink ids(false);
    input_.read(info[0]);
    check(info.Env(), encoder(info.Env()).encode(input_.text(), encodeOptions(info, 1, *tokenizer_), ids));
    return Napi::Number::New(info.Env(), static_cast<double>(ids.count()));
  });
}

// parts(text, allowed, refusesOthers, beginning) → { text?: ArrayBuffer, parts: ArrayBuffer of (start, end, id or -1)
// }: places in bytes, of the text that was given or of the one that it is normalized to
Napi::Value TokenizerWrap::parts(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    std::vector<int32_t> parts;
    tokenizer::GrowingBuffer<uint8_t> normalized;
    const bool isAsIs = tokenizer_->normalizer().isIdentity();
    input_.read(info[0]);
    const tokenizer::Text text = input_.text();
    const auto each = [&](const uint8_t* of, const Segment& part) {
      const bool isText = part.token == Segment::kText;
      size_t start = static_cast<size_t>(of - text.data) + part.start;
      const size_t bytes = part.end - part.start;
      if (!isAsIs) {
        start = normalized.size();
        memcpy(normalized.room(bytes), of + part.start, bytes);
        normalized.advance(bytes);
      }
      if (start + bytes > INT32_MAX) wrongArgument(env, "a text of at most 2 GB for this pattern");
      parts.push_back(static_cast<int32_t>(start));
      parts.push_back(static_cast<int32_t>(start + bytes));
      parts.push_back(isText ? -1 : static_cast<int32_t>(tokenizer_->added().list()[part.token].id));
    };
    check(env, tokenizer_->parts(text, encodeOptions(info, 1, *tokenizer_), {}, each));
    auto value = Napi::Object::New(env);
    value.Set("parts", toArrayBuffer(env, parts.data(), parts.size() * sizeof(int32_t)));
    if (!isAsIs) value.Set("text", toArrayBuffer(env, normalized.contents().data(), normalized.size()));
    return value;
  });
}

// encodePieces(text, ends: Int32Array) → ArrayBuffer
Napi::Value TokenizerWrap::encodePieces(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    IdSink ids(true);
    input_.read(info[0]);
    check(info.Env(),
          encoder(info.Env()).encodePieces(input_.text(), contents<int32_t>(info[1], napi_int32_array), ids));
    return takeIds(info.Env(), std::move(ids));
  });
}

Napi::Value TokenizerWrap::encodeAll(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    (void)encoder(info.Env());
    return encodeOffThread(info, tokenizer_);
  });
}

// decode(ids: Int32Array, special) → string
Napi::Value TokenizerWrap::decode(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    tokenizer::GrowingBuffer<uint8_t> text;
    const auto ids = contents<int32_t>(info[0], napi_int32_array);
    check(info.Env(), tokenizer_->decode(ids, info[1].As<Napi::Boolean>().Value(), text));
    return toString(info.Env(), text.contents());
  });
}

// decodeBytes(ids: Int32Array, special) → ArrayBuffer
Napi::Value TokenizerWrap::decodeBytes(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    tokenizer::GrowingBuffer<uint8_t> text;
    const auto ids = contents<int32_t>(info[0], napi_int32_array);
    check(info.Env(), tokenizer_->decode(ids, info[1].As<Napi::Boolean>().Value(), text));
    return toArrayBuffer(info.Env(), text.contents().data(), text.size());
  });
}

// bytesOf(id) → ArrayBuffer
Napi::Value TokenizerWrap::bytesOf(const Napi::CallbackInfo& info) {
  const size_t id = toSize(info[0], "an id");
  if (id >= tokenizer_->vocabSize()) wrongArgument(info.Env(), "an id of the vocabulary");
  const auto bytes = tokenizer_->bytesOf(static_cast<uint32_t>(id));
  return toArrayBuffer(info.Env(), bytes.data(), bytes.size());
}

Napi::Function EncodeStreamWrap::define(Napi::Env env) {
  return DefineClass(env, "EncodeStream",
                     {method<&EncodeStreamWrap::push>("push"), method<&EncodeStreamWrap::end>("end"),
                      method<&EncodeStreamWrap::cancel>("cancel")});
}

// new EncodeStream(tokenizer, allowed, refusesOthers, beginning)
EncodeStreamWrap::EncodeStreamWrap(const Napi::CallbackInfo& info)
    : Wrapped<EncodeStreamWrap>(info), memory_(info.Env(), tokenizer::Encoder::kCacheBytes) {
  info.This().As<Napi::Object>().TypeTag(&kTag);
  const auto& tokenizer = unwrap<TokenizerWrap>(info[0]).get();
  if (!tokenizer->pattern()) wrongArgument(info.Env(), "a tokenizer with a pattern");
  guarded(info.Env(),
          [&] { stream_ = std::make_unique<tokenizer::StreamEncoder>(tokenizer, encodeOptions(info, 1, *tokenizer)); });
}

// push(text) → ArrayBuffer, or a promise of it
Napi::Value EncodeStreamWrap::push(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    if (busy_) wrongArgument(info.Env(), "one call at a time");
    input_.read(info[0]);
    return run(info, input_.text(), false);
  });
}

// end() → ArrayBuffer, or a promise of it
Napi::Value EncodeStreamWrap::end(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    if (busy_) wrongArgument(info.Env(), "one call at a time");
    return run(info, {nullptr, 0}, true);
  });
}

// What is short is done at once.
Napi::Value EncodeStreamWrap::run(const Napi::CallbackInfo& info, tokenizer::Text text, bool isEnd) {
  constexpr size_t kLong = 1 << 20;  // some milliseconds, where it is one piece
  const Napi::Env env = info.Env();
  if (stream_->heldBytes() + text.bytes >= kLong) {
    return encodeLater(env, info.This().As<Napi::Object>(), *this, text, isEnd);
  }
  IdSink ids(true);
  check(env, encode(text, isEnd, ids));
  return takeIds(env, std::move(ids));
}

// cancel(): what is under way, or comes, ends with ERR_ABORTED
void EncodeStreamWrap::cancel(const Napi::CallbackInfo&) { stream_->cancel(); }

}  // namespace quipu::binding
