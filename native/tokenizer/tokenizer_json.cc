#include "tokenizer/tokenizer_json.h"

#include <array>
#include <unordered_map>

#include "tokenizer/json_reader.h"
#include "tokenizer/table_builder.h"
#include "tokenizer/unicode.h"

namespace quipu::tokenizer {

namespace {

constexpr uint32_t kNoByte = 0x100;

// The byte that a character below U+0144 stands for in GPT-2's byte-level alphabet (openai/gpt-2, encoder.py):
// printable bytes are themselves, the others moved to U+0100 and up.
constexpr std::array<uint16_t, 0x144> byteAlphabet() {
  std::array<uint16_t, 0x144> bytes{};
  uint32_t moved = 0x100;
  for (uint16_t& byte : bytes) byte = kNoByte;
  for (uint32_t byte = 0; byte < 256; ++byte) {
    const bool printable = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
    bytes[printable ? byte : moved++] = static_cast<uint16_t>(byte);
  }
  return bytes;
}

constexpr auto kByteOf = byteAlphabet();

// Appends the bytes that `text`, UTF-8 without escapes, stands for; false where a character is not of the alphabet.
bool appendAlphabet(std::string_view text, std::vector<uint8_t>& out) {
  for (size_t i = 0; i < text.size(); ++i) {
    uint32_t code = static_cast<uint8_t>(text[i]);
    if (code >= 0x80) {
      if (code > 0xc5 || i + 1 == text.size()) return false;
      code = (code & 0x1f) << 6 | (static_cast<uint8_t>(text[++i]) & 0x3f);
    }
    if (code >= kByteOf.size() || kByteOf[code] == kNoByte) return false;
    out.push_back(static_cast<uint8_t>(kByteOf[code]));
  }
  return true;
}

std::string quoted(std::string_view raw) {
  size_t end = raw.size() < 80 ? raw.size() : 80;
  while (end < raw.size() && end > 0 && (static_cast<uint8_t>(raw[end]) & 0xc0) == 0x80) --end;
  return std::string(raw.substr(0, end));
}

class Reader {
 public:
  Reader(std::string_view file, TokenizerJson& out) : file_(file), out_(out), builder_(Tables::kMerges) {}

  Status read();

 private:
  bool readTop();
  bool readModel(JsonReader& json);
  bool readVocab(JsonReader& json);
  bool readMerges(JsonReader& json);
  void addMerge(size_t rank, std::string_view whole, std::string_view first, std::string_view second);
  void flushMerges();
  void failMerge(size_t rank, std::string_view whole);
  bool hasToken(std::string_view text);
  bool unescaped(std::string_view& raw, std::string& storage) const;
  void cut(size_t from, size_t to, const char* instead);
  bool fail(std::string problem) {
    if (out_.problem.empty()) out_.problem = std::move(problem);
    return true;
  }

  std::string_view file_;
  TokenizerJson& out_;
  TableBuilder builder_;
  bool hasVocab_ = false;
  size_t mergesAt_ = 0;  // of a list that comes before the vocabulary
  size_t copied_ = 0;    // of the file, into the document
  // Tokens that are not of the alphabet: never met in text that is cut into bytes, but merges may name them.
  std::unordered_map<std::string, uint32_t> plain_;
  // Merges whose tokens are looked up together.
  static constexpr size_t kBatch = 64;
  struct Batch {
    struct Merge {
      size_t rank;
      std::string_view whole;  // as it is written
      std::array<size_t, 2> sizes;
    };
    std::vector<uint8_t> bytes;
    std::vector<Merge> merges;
    std::vector<TableBuilder::Query> queries;
  } batch_;
};

void Reader::cut(size_t from, size_t to, const char* instead) {
  out_.document.append(file_, copied_, from - copied_);
  out_.document += instead;
  copied_ = to;
}

// A string as UTF-8, in `storage` if it has escapes.
bool Reader::unescaped(std::string_view& raw, std::string& storage) const {
  bool plain = true;
  for (const char c : raw) plain = plain && c != '\\' && static_cast<uint8_t>(c) >= 0x20;
  if (plain) return true;
  storage.clear();
  if (!unescape(raw, storage)) return false;
  raw = storage;
  return true;
}

// Each of the following returns false where the text is no JSON that it can follow.

bool Reader::readTop() {
  JsonReader json(file_);
  if (!json.take('{')) return false;
  std::string_view name;
  std::string storage;
  while (json.string(name)) {
    if (!unescaped(name, storage) || !json.take(':')) return false;
    if (name == "model" && json.peek() == '{') {
      if (!readModel(json)) return false;
    } else if (!json.skip()) {
      return false;
    }
    if (!json.take(',')) break;
  }
  return json.take('}');
}

bool Reader::readModel(JsonReader& json) {
  json.take('{');
  std::string_view name;
  std::string storage;
  while (json.string(name)) {
    if (!unescaped(name, storage) || !json.take(':')) return false;
    const char first = json.peek();
    const size_t from = json.at();
    if (name == "vocab" && first == '{' && !hasVocab_) {
      if (!readVocab(json)) return false;
      cut(from, json.at(), "{}");
      if (mergesAt_ != 0) {
        JsonReader merges(file_, mergesAt_);
        if (!readMerges(merges)) return false;
      }
    } else if (name == "merges" && first == '[' && mergesAt_ == 0) {
      mergesAt_ = from;
      if (hasVocab_ ? !readMerges(json) : !json.skip()) return false;
      cut(from, json.at(), "[]");
    } else if (!json.skip()) {
      return false;
    }
    if (!json.take(',')) break;
  }
  return json.take('}');
}

bool Reader::readVocab(JsonReader& json) {
  hasVocab_ = true;
  json.take('{');
  std::string_view raw;
  std::string storage;
  while (json.string(raw)) {
    if (!json.take(':')) return false;
    uint32_t id = 0;
    const char first = json.peek();
    const size_t from = json.at();
    if (first == '"' || first == '{' || first == '[') {
      if (!json.skip()) return false;
    }
    const std::string_view value = json.at() > from ? file_.substr(from, json.at() - from) : json.word();
    bool whole = !value.empty() && value.size() <= 8;
    for (const char digit : value) {
      whole = whole && digit >= '0' && digit <= '9';
      id = id * 10 + static_cast<uint32_t>(digit - '0');
    }
    if (!whole || id >= kNoToken) {
      fail("model.vocab: the id of \"" + quoted(raw) + "\": expected a whole number, got " + quoted(value));
      id = 0;
    }
    std::string_view text = raw;
    if (!unescaped(text, storage)) return false;
    const size_t start = builder_.bytes().size();
    bool encodes = appendAlphabet(text, builder_.bytes());
    if (!encodes) {
      builder_.bytes().resize(start);
      builder_.bytes().insert(builder_.bytes().end(), text.begin(), text.end());
      if (!plain_.emplace(text, id).second) fail("model.vocab: \"" + quoted(raw) + "\" is there twice");
    }
    if (builder_.pendingBytes() > kMaxTokenBytes) {
      fail("model.vocab: \"" + quoted(raw) + "\": expected at most " + std::to_string(kMaxTokenBytes) + " bytes");
    }
    builder_.add(id, encodes && !text.empty());
    if (!json.take(',')) break;
  }
  if (!json.take('}')) return false;
  if (!out_.problem.empty()) return true;
  if (const auto twice = builder_.indexTokens(); twice.index != TableBuilder::kNone) {
    const std::string id = std::to_string(builder_.idOf(twice.index));
    fail(twice.sameId ? "model.vocab: id " + id + " has two tokens"
                      : "model.vocab: the token of id " + id + " is there twice");
  }
  return true;
}

void Reader::addMerge(size_t rank, std::string_view whole, std::string_view first, std::string_view second) {
  Batch::Merge merge{rank, whole, {}};
  const std::string_view texts[] = {first, second};
  for (int side = 0; side < 2; ++side) {
    const size_t start = batch_.bytes.size();
    if (appendAlphabet(texts[side], batch_.bytes)) {
      merge.sizes[side] = batch_.bytes.size() - start;
      continue;
    }
    // Not of the alphabet: the bytes never merge so, but both parts and the whole must be tokens.
    batch_.bytes.resize(start - (side == 1 ? merge.sizes[0] : 0));
    std::string together(first);
    for (const std::string& text : {std::string(first), std::string(second), together.append(second)}) {
      if (!plain_.contains(text) && !hasToken(text)) return failMerge(rank, whole);
    }
    return;
  }
  batch_.merges.push_back(merge);
  if (batch_.merges.size() == kBatch) flushMerges();
}

bool Reader::hasToken(std::string_view text) {
  std::vector<uint8_t> bytes;
  if (!appendAlphabet(text, bytes)) return false;
  bytes.reserve(bytes.size() + kPadding);
  TableBuilder::Query query{bytes.data(), bytes.size()};
  builder_.find({&query, 1});
  return query.token != kNoToken;
}

void Reader::flushMerges() {
  batch_.bytes.resize(batch_.bytes.size() + kPadding);
  batch_.queries.clear();
  const uint8_t* at = batch_.bytes.data();
  for (const Batch::Merge& merge : batch_.merges) {
    const auto [left, right] = merge.sizes;
    batch_.queries.push_back({at, left});
    batch_.queries.push_back({at + left, right});
    batch_.queries.push_back({at, left + right});
    at += left + right;
  }
  builder_.find(batch_.queries);
  const TableBuilder::Query* found = batch_.queries.data();
  for (const Batch::Merge& merge : batch_.merges) {
    const uint32_t left = found[0].token, right = found[1].token, merged = found[2].token;
    found += 3;
    if (left == kNoToken || right == kNoToken || merged == kNoToken) {
      failMerge(merge.rank, merge.whole);
    } else {
      builder_.addMerge(static_cast<uint32_t>(merge.sizes[0]), merged);
    }
  }
  batch_.bytes.clear();
  batch_.merges.clear();
}

void Reader::failMerge(size_t rank, std::string_view whole) {
  fail("model.merges[" + std::to_string(rank) + "]: " + quoted(whole) + " names a token that the vocabulary lacks");
}

// Merges are written ["a", "b"], or in older files "a b".
bool Reader::readMerges(JsonReader& json) {
  if (!json.take('[')) return false;
  if (!out_.problem.empty()) {
    mergesAt_ = json.at() - 1;
    json = JsonReader(file_, mergesAt_);
    return json.skip();
  }
  std::string storage[2];
  for (size_t rank = 0; json.peek() != ']'; ++rank) {
    if (rank > 0 && !json.take(',')) return false;
    const char first = json.peek();
    const size_t from = json.at();
    std::string_view left, right;
    bool two = false;
    if (first == '"') {
      if (!json.string(left) || !unescaped(left, storage[0])) return false;
      const size_t space = left.find(' ');
      two = space != std::string_view::npos;
      if (two) right = left.substr(space + 1), left = left.substr(0, space);
    } else if (first == '[') {
      json.take('[');
      two = json.string(left) && json.take(',') && json.string(right) && json.take(']');
      if (two && (!unescaped(left, storage[0]) || !unescaped(right, storage[1]))) return false;
      if (!two) json = JsonReader(file_, from);
    }
    if (!two && json.at() == from && !json.skip()) return false;
    const std::string_view whole = file_.substr(from, json.at() - from);
    if (two) {
      addMerge(rank, whole, left, right);
    } else {
      failMerge(rank, whole);
    }
  }
  flushMerges();
  return json.take(']');
}

Status Reader::read() {
  if (!readTop()) {
    // The parser of TypeScript finds what is wrong; the problem is for what it would take.
    out_ = {std::string(file_), "not JSON as this version can read it", nullptr};
    return {};
  }
  out_.document.append(file_, copied_);
  if (!hasVocab_ || !out_.problem.empty()) return {};
  Status status = builder_.finish(out_.document, out_.tables);
  if (status.code == ErrorCode::kTokenizerInvalid) fail(status.message), status = {};
  return status;
}

}  // namespace

Status readTokenizerJson(std::string_view file, TokenizerJson& out) {
  if (validUtf8(reinterpret_cast<const uint8_t*>(file.data()), file.size()) != file.size()) {
    return Status::error(ErrorCode::kTokenizerInvalid, "not valid UTF-8");
  }
  if (file.starts_with("\xef\xbb\xbf")) file.remove_prefix(3);  // a byte order mark
  return Reader(file, out).read();
}

}  // namespace quipu::tokenizer
