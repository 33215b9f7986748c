#include "binding/tokenizer.h"

#include "binding/errors.h"
#include "binding/stream_worker.h"
#include "binding/tokenizer_parts.h"
#include "tokenizer/rank_file.h"
#include "tokenizer/scored_pieces.h"
#include "tokenizer/unicode.h"

namespace quipu::binding {

using tokenizer::IdSink;
using tokenizer::Segment;

namespace {

// From so many bytes on ids are handed over: to register external memory takes less time than to copy them. Runtimes
// with V8's sandbox refuse it; then they are copied all the same.
constexpr size_t kTaken = 1 << 18;

using Bytes = std::span<const uint8_t>;
using Words = std::span<const int32_t>;
using OrNone = Whole<-1, INT32_MAX>;  // a number, or −1 for none

// V8 reads ASCII and UTF-16 several times as fast as UTF-8. It decides what bytes that are not UTF-8 become.
// V8 has no string of 2²⁹ characters and more.
void checkMade(Napi::Env env, napi_status status, size_t bytes) {
  if (status == napi_ok) return;
  check(env, Status::error(ErrorCode::kUsage, "a text of " + std::to_string(bytes) +
                                                  " bytes is more than a string holds: take it in parts"));
}

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
    checkMade(env, napi_create_string_latin1(env, chars, text.size(), &value), text.size());
    return {env, value};
  }
  const std::unique_ptr<char16_t[]> utf16(new char16_t[text.size()]);
  size_t units;
  if (!tokenizer::toUtf16(text.data(), text.size(), utf16.get(), units)) {
    checkMade(env, napi_create_string_utf8(env, chars, text.size(), &value), text.size());
    return {env, value};
  }
  checkMade(env, napi_create_string_utf16(env, utf16.get(), units, &value), text.size());
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

tokenizer::EncodeOptions encodeOptions(const Arguments& arguments, size_t at, const tokenizer::TextTokenizer& of) {
  const auto [allowed, refusesOthers, beginning] = arguments.read<Bytes, bool, OrNone>(at);
  if (allowed.size() != of.added().list().size()) arguments.wrong(at, "a byte for each added token");
  tokenizer::EncodeOptions options;
  options.allowed.assign(allowed.begin(), allowed.end());
  options.refusesOthers = refusesOthers;
  if (beginning >= 0) options.beginning = static_cast<uint32_t>(beginning);
  return options;
}

// normalize(text, steps) → string
Napi::Value normalize(const Napi::CallbackInfo& info) {
  const Arguments arguments(info, "normalize(text, steps)");
  const auto [text, steps] = arguments.read<std::string, Napi::Array>();
  const std::string normalized = normalizerOf(arguments, 1, steps).apply(text);
  return toString(info.Env(), {reinterpret_cast<const uint8_t*>(normalized.data()), normalized.size()});
}

Napi::Function VocabularyWrap::define(Napi::Env env) {
  return DefineClass(env, "Vocabulary",
                     {method<&VocabularyWrap::document>("document"), method<&VocabularyWrap::problem>("problem"),
                      method<&VocabularyWrap::tokens>("tokens"), method<&VocabularyWrap::hasAllBytes>("hasAllBytes"),
                      method<&VocabularyWrap::ofCharacters>("ofCharacters"), method<&VocabularyWrap::find>("find"),
                      method<&VocabularyWrap::isMerged>("isMerged"), method<&VocabularyWrap::fallback>("fallback"),
                      method<&VocabularyWrap::prepared>("prepared")});
}

// new Vocabulary("tokenizer.json" | "ranks", path, preparedPath, description), ("packed", text) or
// ("pieces", texts, ends, priorities, kinds)
VocabularyWrap::VocabularyWrap(const Napi::CallbackInfo& info) : Wrapped<VocabularyWrap>(info) {
  const Napi::Env env = info.Env();
  info.This().As<Napi::Object>().TypeTag(&kTag);
  const Arguments arguments(info, "new Vocabulary(format, source, preparedPath, description)");
  const auto [format] = arguments.read<std::string>();
  if (format == "pieces") {
    readPieces(info);
    return;
  }
  if (format != "packed" && format != "ranks" && format != "tokenizer.json") {
    arguments.wrong(0, "packed, pieces, ranks or tokenizer.json");
  }
  const auto [source, prepared, description] =
      arguments.read<std::string, std::optional<std::string>, std::optional<std::string>>(1);
  guarded(env, [&, &format = format, &source = source, &prepared = prepared, &description = description] {
    if (format == "packed") {
      std::shared_ptr<tokenizer::Tables> tables;
      check(env, tokenizer::readPackedRanks(source, tables));
      vocabulary_.tables = std::move(tables);
      return;
    }
    const auto kind =
        format == "ranks" ? tokenizer::VocabularyFormat::kRankFile : tokenizer::VocabularyFormat::kTokenizerJson;
    const tokenizer::PreparedPlace place{prepared.value_or(""), description.value_or("")};
    check(env, tokenizer::loadVocabulary(source, kind, place, vocabulary_, prepared_));
  });
}

void VocabularyWrap::readPieces(const Napi::CallbackInfo& info) {
  const Arguments arguments(info, "new Vocabulary(format, texts, ends, priorities, kinds)");
  using Numbers = std::span<const uint32_t>;
  const auto [texts, ends, priorities, kinds] = arguments.read<Bytes, Numbers, Numbers, Bytes>(1);
  if (priorities.size() != ends.size()) arguments.wrong(3, "a number for each piece");
  if (kinds.size() != ends.size()) arguments.wrong(4, "a number for each piece");
  guarded(info.Env(), [&, &texts = texts, &ends = ends, &priorities = priorities, &kinds = kinds] {
    std::shared_ptr<tokenizer::Tables> tables;
    check(info.Env(), tokenizer::tablesOf({texts, ends, priorities, kinds}, tables));
    vocabulary_.tables = std::move(tables);
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

Napi::Value VocabularyWrap::ofCharacters(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), vocabulary_.tables != nullptr && vocabulary_.tables->ofCharacters());
}

// find(text) → id or -1
Napi::Value VocabularyWrap::find(const Napi::CallbackInfo& info) {
  const auto [text] = Arguments(info, "find(text)").read<std::string>();
  const uint32_t token = tokenOf(text);
  const double id = token == tokenizer::kNoToken ? -1.0 : vocabulary_.tables->idOf(token);
  return Napi::Number::New(info.Env(), id);
}

// isMerged(text): whether that is a token that a merge names as a part
Napi::Value VocabularyWrap::isMerged(const Napi::CallbackInfo& info) {
  const auto [text] = Arguments(info, "isMerged(text)").read<std::string>();
  const uint32_t token = tokenOf(text);
  return Napi::Boolean::New(info.Env(), token != tokenizer::kNoToken && vocabulary_.tables->isMerged(token));
}

uint32_t VocabularyWrap::tokenOf(const std::string& text) const {
  if (vocabulary_.tables == nullptr || text.empty()) return tokenizer::kNoToken;
  return vocabulary_.tables->find(reinterpret_cast<const uint8_t*>(text.data()), text.size());
}

// fallback() → [whether every byte of UTF-8 has a token of its own, whether a merge names one of those]
Napi::Value VocabularyWrap::fallback(const Napi::CallbackInfo& info) {
  const auto result = Napi::Array::New(info.Env(), 2);
  const tokenizer::Tables* const tables = vocabulary_.tables.get();
  result.Set(0u, tables != nullptr && tables->hasFallback());
  result.Set(1u, tables != nullptr && tables->summary().mergesFallback != 0);
  return result;
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

TokenizerWrap::TokenizerWrap(const Napi::CallbackInfo& info) : Wrapped<TokenizerWrap>(info) {
  const Napi::Env env = info.Env();
  info.This().As<Napi::Object>().TypeTag(&kTag);
  const Arguments arguments(
      info, "new Tokenizer(vocabulary, pattern, wholePieces, normalizer, added, marks, unknown, decoding)");
  const auto [vocabulary] = arguments.read<VocabularyWrap>();
  const auto& tables = vocabulary->get().tables;
  if (tables == nullptr) arguments.wrong(0, "a vocabulary with tokens");
  guarded(env, [&] {
    auto parts = tokenizerParts(arguments, tables->ofCharacters());
    tokenizer_ = std::make_shared<const tokenizer::TextTokenizer>(tables, std::move(parts));
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
    const Arguments arguments(info, "encode(text, allowed, refusesOthers, beginning)");
    check(info.Env(), encoder(info.Env()).encode(input_.text(), encodeOptions(arguments, 1, *tokenizer_), ids));
    return takeIds(info.Env(), std::move(ids));
  });
}

// count(text, allowed, refusesOthers, beginning) → number
Napi::Value TokenizerWrap::count(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    IdSink ids(false);
    input_.read(info[0]);
    const Arguments arguments(info, "count(text, allowed, refusesOthers, beginning)");
    check(info.Env(), encoder(info.Env()).encode(input_.text(), encodeOptions(arguments, 1, *tokenizer_), ids));
    return Napi::Number::New(info.Env(), static_cast<double>(ids.count()));
  });
}

// parts(text, passes, allowed, refusesOthers, beginning) → { text?: ArrayBuffer, parts: ArrayBuffer of (start, end, id
// or -1)
// }: places in bytes, of the text that was given or of the one that it is normalized to
Napi::Value TokenizerWrap::parts(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    const Arguments arguments(info, "parts(text, passes, allowed, refusesOthers, beginning)");
    const auto [passes] = arguments.read<Whole<0, 2>>(1);
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
      if (start + bytes > INT32_MAX) arguments.wrong(0, "at most 2 GB for this pattern");
      parts.push_back(static_cast<int32_t>(start));
      parts.push_back(static_cast<int32_t>(start + bytes));
      parts.push_back(isText ? -1 : static_cast<int32_t>(tokenizer_->added().list()[part.token].id));
    };
    check(env, tokenizer_->parts(text, encodeOptions(arguments, 2, *tokenizer_), {}, each,
                                 static_cast<tokenizer::TextTokenizer::Passes>(passes)));
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
    const auto [ends] = Arguments(info, "encodePieces(text, ends)").read<Words>(1);
    check(info.Env(), encoder(info.Env()).encodePieces(input_.text(), ends, ids));
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
    const auto [ids, special] = Arguments(info, "decode(ids, special)").read<Words, bool>();
    check(info.Env(), tokenizer_->decode(ids, special, true, text));
    return toString(info.Env(), text.contents());
  });
}

// decodeBytes(ids: Int32Array, special) → ArrayBuffer
Napi::Value TokenizerWrap::decodeBytes(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    tokenizer::GrowingBuffer<uint8_t> text;
    const auto [ids, special] = Arguments(info, "decodeBytes(ids, special)").read<Words, bool>();
    check(info.Env(), tokenizer_->decode(ids, special, false, text));
    return toArrayBuffer(info.Env(), text.contents().data(), text.size());
  });
}

// bytesOf(id, first) → ArrayBuffer, null for an id without a token; `first`: at the beginning of a text
Napi::Value TokenizerWrap::bytesOf(const Napi::CallbackInfo& info) {
  const Arguments arguments(info, "bytesOf(id, first)");
  const auto [id, first] = arguments.read<Size, bool>();
  if (id >= tokenizer_->vocabSize()) arguments.wrong(0, "an id of the vocabulary");
  if (!tokenizer_->isThere(static_cast<uint32_t>(id))) return info.Env().Null();
  if (first) {
    const std::string text = tokenizer_->firstBytesOf(static_cast<uint32_t>(id));
    return toArrayBuffer(info.Env(), text.data(), text.size());
  }
  const auto bytes = tokenizer_->bytesOf(static_cast<uint32_t>(id));
  return toArrayBuffer(info.Env(), bytes.data(), bytes.size());
}

Napi::Function EncodeStreamWrap::define(Napi::Env env) {
  return DefineClass(env, "EncodeStream",
                     {method<&EncodeStreamWrap::push>("push"), method<&EncodeStreamWrap::end>("end"),
                      method<&EncodeStreamWrap::cancel>("cancel")});
}

EncodeStreamWrap::EncodeStreamWrap(const Napi::CallbackInfo& info)
    : Wrapped<EncodeStreamWrap>(info), memory_(info.Env(), tokenizer::Encoder::kCacheBytes) {
  info.This().As<Napi::Object>().TypeTag(&kTag);
  const Arguments arguments(info, "new EncodeStream(tokenizer, allowed, refusesOthers, beginning)");
  const auto [wrap] = arguments.read<TokenizerWrap>();
  const auto& tokenizer = wrap->get();
  if (!tokenizer->cutsText()) arguments.wrong(0, "a tokenizer that cuts text");
  guarded(info.Env(), [&] {
    stream_ = std::make_unique<tokenizer::StreamEncoder>(tokenizer, encodeOptions(arguments, 1, *tokenizer));
  });
}

// push(text) → ArrayBuffer, or a promise of it
Napi::Value EncodeStreamWrap::push(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    checkIdle(info.Env());
    input_.read(info[0]);
    return run(info, input_.text(), false);
  });
}

// end() → ArrayBuffer, or a promise of it
Napi::Value EncodeStreamWrap::end(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    checkIdle(info.Env());
    return run(info, {nullptr, 0}, true);
  });
}

void EncodeStreamWrap::checkIdle(Napi::Env env) const {
  if (busy_) throw toError(env, Status::error(ErrorCode::kInternal, "native call: an EncodeStream has one at a time"));
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
