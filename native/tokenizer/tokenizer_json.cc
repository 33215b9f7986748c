#include "tokenizer/tokenizer_json.h"

#include <string>
#include <unordered_set>

#include "tokenizer/byte_alphabet.h"
#include "tokenizer/json_reader.h"
#include "tokenizer/pre_tokenizer_unit.h"
#include "tokenizer/table_builder.h"
#include "tokenizer/unicode.h"

namespace quipu::tokenizer {

namespace {

std::string quoted(std::string_view raw) {
  size_t end = raw.size() < 80 ? raw.size() : 80;
  while (end < raw.size() && end > 0 && (static_cast<uint8_t>(raw[end]) & 0xc0) == 0x80) --end;
  return std::string(raw.substr(0, end));
}

bool isUtf8(std::string_view text) {
  return validUtf8(reinterpret_cast<const uint8_t*>(text.data()), text.size()) == text.size();
}

class Reader {
 public:
  Reader(std::string_view file, Unit unit, TokenizerJson& out)
      : file_(file), out_(out), unit_(unit), builder_(Tables::kMerges, file.size(), unit) {}

  // `checked`: what was taken out of the file is known to be valid UTF-8.
  Status read(bool& checked);

 private:
  bool readTop();
  bool readModel(JsonReader& json);
  bool readVocab(JsonReader& json);
  bool readMerges(JsonReader& json);
  bool readToken(JsonReader& json, std::string_view& raw, const uint8_t*& end, bool& encodes, std::string& storage);
  bool readText(JsonReader& json, std::string_view& raw, const uint8_t*& end, std::string& storage);
  bool readId(JsonReader& json, std::string_view raw, uint32_t& id);
  bool readPlainMerge(JsonReader& json, size_t rank);
  bool readMerge(JsonReader& json, size_t rank);
  void addMerge(size_t rank, std::string_view whole, std::string_view first, std::string_view second);
  void addMerge(size_t rank, size_t from, size_t to, size_t left, size_t right);
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
  const Unit unit_;
  TableBuilder builder_;
  bool hasVocab_ = false;
  size_t mergesAt_ = 0;  // of a list that comes before the vocabulary
  size_t copied_ = 0;    // of the file, into the document
  // Tokens that are not of the alphabet: never met in text that is cut into bytes, but merges may name them.
  std::unordered_set<std::string> plain_;
  bool checked_ = true;  // what was read so far is valid UTF-8
  // Merges whose parts are looked up together.
  static constexpr size_t kBatch = 64, kBatchBytes = 1 << 16;
  struct Merge {
    size_t rank;
    size_t from, to;  // as it is written, in the file
  };
  uint8_t batchBytes_[kBatchBytes + kPadding];
  size_t batchUsed_ = 0;
  size_t batched_ = 0;
  Merge batch_[kBatch];
  TableBuilder::Query queries_[2 * kBatch];
  size_t lastMerged_ = 0;  // index of the token that the last merge makes
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

// The name of a token, and its bytes into the room for the next; `raw` is as it is written.
bool Reader::readToken(JsonReader& json, std::string_view& raw, const uint8_t*& end, bool& encodes,
                       std::string& storage) {
  if (json.peek() != '"') return false;
  if (unit_ == Unit::kCharacter) {
    if (!readText(json, raw, end, storage)) return false;
    encodes = end > builder_.next();
    return true;
  }
  const size_t quote = json.at();
  const AlphabetText read = readAlphabet(file_, quote + 1, builder_.next(), builder_.full());
  raw = file_.substr(quote + 1, read.at - quote - 1);
  end = read.to;
  encodes = !raw.empty();
  if (encodes && read.at < file_.size() && file_[read.at] == '"') {
    json.seek(read.at + 1);
    return true;
  }
  if (!json.string(raw)) return false;
  checked_ = false;
  std::string_view text = raw;
  if (!unescaped(text, storage)) return false;
  end = writeAlphabet(text, builder_.next());
  encodes = end != nullptr && !text.empty();
  if (end == nullptr) {
    memcpy(builder_.next(), text.data(), text.size());
    end = builder_.next() + text.size();
    if (!plain_.emplace(text).second) {
      fail("model.vocab: \"" + quoted(raw) + "\" is there twice");
    }
  }
  return true;
}

// A token that is text.
bool Reader::readText(JsonReader& json, std::string_view& raw, const uint8_t*& end, std::string& storage) {
  checked_ = false;
  if (!json.string(raw)) return false;
  std::string_view text = raw;
  if (!unescaped(text, storage)) return false;
  memcpy(builder_.next(), text.data(), text.size());
  end = builder_.next() + text.size();
  return true;
}

bool Reader::readId(JsonReader& json, std::string_view raw, uint32_t& id) {
  const char first = json.peek();
  const size_t from = json.at();
  size_t at = from;
  id = 0;
  for (; at < file_.size() && at - from < 8 && file_[at] >= '0' && file_[at] <= '9'; ++at) {
    id = id * 10 + static_cast<uint32_t>(file_[at] - '0');
  }
  json.seek(at);
  const char next = json.peek();
  if (at > from && (next == ',' || next == '}') && id < kNoToken) return true;
  json.seek(from);
  if (first == '"' || first == '{' || first == '[') {
    if (!json.skip()) return false;
  }
  const std::string_view value = json.at() > from ? file_.substr(from, json.at() - from) : json.word();
  fail("model.vocab: the id of \"" + quoted(raw) + "\": expected a whole number below " + std::to_string(kNoToken) +
       ", got " + quoted(value));
  id = 0;
  return true;
}

bool Reader::readVocab(JsonReader& json) {
  hasVocab_ = true;
  json.take('{');
  std::string storage;
  while (json.peek() == '"') {
    std::string_view raw;
    const uint8_t* end;
    bool encodes;
    uint32_t id;
    if (!readToken(json, raw, end, encodes, storage) || !json.take(':') || !readId(json, raw, id)) return false;
    if (static_cast<size_t>(end - builder_.next()) > kMaxTokenBytes) {
      fail("model.vocab: \"" + quoted(raw) + "\": expected at most " + std::to_string(kMaxTokenBytes) + " bytes");
    }
    builder_.add(id, end, encodes);
    if (!json.take(',')) break;
  }
  if (!json.take('}')) return false;
  if (!out_.problem.empty()) return true;
  if (const auto twice = builder_.indexTokens(); twice.index != TableBuilder::kNone) {
    const std::string id = std::to_string(builder_.idOf(twice.index));
    fail(twice.sameId ? "model.vocab: id " + id + " has two tokens"
                      : "model.vocab: the token of id " + id + " is there twice");
  } else if (unit_ == Unit::kCharacter) {
    builder_.findFallback();
  }
  return true;
}

void Reader::addMerge(size_t rank, std::string_view whole, std::string_view first, std::string_view second) {
  uint8_t* const to = batchBytes_ + batchUsed_;
  if (unit_ == Unit::kCharacter) {
    if (first.empty() || second.empty() || first.size() + second.size() > kMaxTokenBytes) return failMerge(rank, whole);
    memcpy(to, first.data(), first.size());
    memcpy(to + first.size(), second.data(), second.size());
    const auto from = static_cast<size_t>(whole.data() - file_.data());
    return addMerge(rank, from, from + whole.size(), first.size(), second.size());
  }
  std::string together(first);
  together += second;
  if (together.size() <= kMaxTokenBytes && writeAlphabet(together, to) != nullptr) {
    const auto left = static_cast<size_t>(writeAlphabet(first, to) - to);
    const auto right = static_cast<size_t>(writeAlphabet(second, to + left) - to) - left;
    const auto from = static_cast<size_t>(whole.data() - file_.data());
    return addMerge(rank, from, from + whole.size(), left, right);
  }
  // Not of the alphabet: the bytes never merge so, but both parts and the whole must be tokens.
  for (const std::string& text : {std::string(first), std::string(second), together}) {
    if (!plain_.contains(text) && !hasToken(text)) return failMerge(rank, whole);
  }
}

// Of a left and a right part, whose bytes lie behind those of the batch.
void Reader::addMerge(size_t rank, size_t from, size_t to, size_t left, size_t right) {
  const uint8_t* const bytes = batchBytes_ + batchUsed_;
  queries_[2 * batched_] = builder_.prefetch(bytes, left);
  queries_[2 * batched_ + 1] = builder_.prefetch(bytes + left, right);
  batch_[batched_++] = {rank, from, to};
  batchUsed_ += left + right;
  if (batched_ == kBatch || batchUsed_ + 2 * kMaxTokenBytes > kBatchBytes) flushMerges();
}

bool Reader::hasToken(std::string_view text) {
  std::vector<uint8_t> bytes(text.size() + kPadding);
  const uint8_t* const end = writeAlphabet(text, bytes.data());
  if (end == nullptr || text.empty()) return false;
  TableBuilder::Query query = builder_.prefetch(bytes.data(), static_cast<size_t>(end - bytes.data()));
  builder_.find({&query, 1});
  return query.index != TableBuilder::kNoIndex;
}

void Reader::flushMerges() {
  builder_.find({queries_, 2 * batched_});
  for (size_t i = 0; i < batched_; ++i) {
    const TableBuilder::Query &left = queries_[2 * i], &right = queries_[2 * i + 1];
    const size_t bytes = left.size + right.size;
    // Lists tell all ways to a token one after the other, then those to the next.
    bool found = builder_.isToken(lastMerged_, left.bytes, bytes);
    if (!found) found = builder_.isToken(++lastMerged_, left.bytes, bytes);
    if (!found) {
      TableBuilder::Query whole = builder_.prefetch(left.bytes, bytes);
      builder_.find({&whole, 1});
      found = whole.index != TableBuilder::kNoIndex;
      lastMerged_ = whole.index;
    }
    if (found && left.index != TableBuilder::kNoIndex && right.index != TableBuilder::kNoIndex) {
      builder_.addMerge(left.size, static_cast<uint32_t>(lastMerged_));
      builder_.notePart(left), builder_.notePart(right);
    } else {
      failMerge(batch_[i].rank, file_.substr(batch_[i].from, batch_[i].to - batch_[i].from));
    }
  }
  batched_ = batchUsed_ = 0;
}

void Reader::failMerge(size_t rank, std::string_view whole) {
  fail("model.merges[" + std::to_string(rank) + "]: " + quoted(whole) + " names a token that the vocabulary lacks");
}

// A merge of two parts of the alphabet; false, and nothing read, where it is something else.
bool Reader::readPlainMerge(JsonReader& json, size_t rank) {
  if (unit_ == Unit::kCharacter) return false;
  const size_t from = json.at();
  const auto fail = [&] {
    json.seek(from);
    return false;
  };
  const bool list = json.take('[');
  if (json.peek() != '"') return fail();
  const auto is = [&](size_t at, char c) { return at < file_.size() && file_[at] == c; };
  uint8_t *const to = batchBytes_ + batchUsed_, *const full = to + kMaxTokenBytes;
  const AlphabetText left = readAlphabet(file_, json.at() + 1, to, full);
  if (left.to == to || !is(left.at, list ? '"' : ' ')) return fail();
  json.seek(left.at + 1);
  if (list && (!json.take(',') || json.peek() != '"')) return fail();
  const AlphabetText right = readAlphabet(file_, json.at() + (list ? 1 : 0), left.to, full);
  if (right.to == left.to || !is(right.at, '"')) return fail();
  json.seek(right.at + 1);
  if (list && !json.take(']')) return fail();
  addMerge(rank, from, json.at(), static_cast<size_t>(left.to - to), static_cast<size_t>(right.to - left.to));
  return true;
}

// Any other merge; false where it is no JSON.
bool Reader::readMerge(JsonReader& json, size_t rank) {
  const char first = json.peek();
  const size_t from = json.at();
  checked_ = false;
  std::string storage[2];  // of no memory where nothing is escaped
  std::string_view left, right;
  bool two = false;
  if (first == '"') {
    if (!json.string(left) || !unescaped(left, storage[0])) return false;
    const size_t space = left.find(' ');
    two = space != std::string_view::npos && left.find(' ', space + 1) == std::string_view::npos;
    if (two) right = left.substr(space + 1), left = left.substr(0, space);
  } else if (first == '[') {
    json.take('[');
    two = json.string(left) && json.take(',') && json.string(right) && json.take(']');
    if (two && (!unescaped(left, storage[0]) || !unescaped(right, storage[1]))) return false;
    if (!two) json.seek(from);
  }
  if (!two && json.at() == from && !json.skip()) return false;
  const std::string_view whole = file_.substr(from, json.at() - from);
  if (two) {
    addMerge(rank, whole, left, right);
  } else {
    failMerge(rank, whole);
  }
  return true;
}

// Merges are written ["a", "b"], or in older files "a b".
bool Reader::readMerges(JsonReader& json) {
  if (!json.take('[')) return false;
  if (!out_.problem.empty()) {
    mergesAt_ = json.at() - 1;
    json.seek(mergesAt_);
    return json.skip();
  }
  builder_.reserveMerges(builder_.tokens() * 2);
  for (size_t rank = 0; json.peek() != ']'; ++rank) {
    if (rank > 0 && !json.take(',')) return false;
    json.peek();
    if (!readPlainMerge(json, rank) && !readMerge(json, rank)) return false;
  }
  flushMerges();
  return json.take(']');
}

Status Reader::read(bool& checked) {
  checked = false;
  if (!readTop()) {
    // The parser of TypeScript finds what is wrong; the problem is for what it would take.
    out_ = {std::string(file_), "not JSON as this version can read it", nullptr};
    return {};
  }
  out_.document.append(file_, copied_);
  checked = checked_ && hasVocab_ && out_.problem.empty() && isUtf8(out_.document);
  if (!hasVocab_ || !out_.problem.empty()) return {};
  Status status = builder_.finish(out_.document, out_.tables);
  if (status.code == ErrorCode::kTokenizerInvalid) fail(status.message), status = {};
  return status;
}

}  // namespace

Status readTokenizerJson(std::string_view file, TokenizerJson& out) {
  if (file.starts_with("\xef\xbb\xbf")) file.remove_prefix(3);  // a byte order mark
  bool checked;
  Status status = Reader(file, unitOf(file), out).read(checked);
  if (!checked && !isUtf8(file)) return Status::error(ErrorCode::kTokenizerInvalid, "not valid UTF-8");
  return status;
}

}  // namespace quipu::tokenizer
