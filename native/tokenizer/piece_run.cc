#include "tokenizer/piece_run.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <queue>

namespace quipu::tokenizer {

namespace {

constexpr char kMagic[] = "QPPIECE1";
constexpr size_t kMagicBytes = 8;
constexpr size_t kOpenRuns = 64;
constexpr size_t kBuffer = 1 << 16;

struct CloseFile {
  void operator()(FILE* file) const { fclose(file); }
};
using File = std::unique_ptr<FILE, CloseFile>;

Status failure(const std::string& path, const char* what) {
  const bool full = errno == ENOSPC || errno == EDQUOT;
  return Status::error(ErrorCode::kInternal,
                       path + ": " + what + ": " + strerror(errno) +
                           (full ? ". Counts that do not fit the memory given are kept there." : ""));
}

uint64_t checksumOf(uint64_t state, const uint8_t* bytes, size_t length, uint64_t count) {
  for (size_t i = 0; i < length; ++i) state = (state ^ bytes[i]) * 0x100000001b3;
  return (state ^ count) * 0x100000001b3;
}
constexpr uint64_t kChecksumStart = 0xcbf29ce484222325;

class RunWriter {
 public:
  Status open(const std::string& path) {
    path_ = path;
    part_ = path + ".part";
    file_.reset(fopen(part_.c_str(), "wb"));
    if (file_ == nullptr) return failure(part_, "cannot be made");
    fwrite(kMagic, 1, kMagicBytes, file_.get());
    return {};
  }
  void add(const PieceCount& piece) {
    varint(piece.length);
    fwrite(piece.bytes, 1, piece.length, file_.get());
    varint(piece.count);
    checksum_ = checksumOf(checksum_, piece.bytes, piece.length, piece.count);
    pieces_ += 1;
  }
  Status close() {
    varint(0);
    fwrite(&pieces_, sizeof pieces_, 1, file_.get());
    fwrite(&checksum_, sizeof checksum_, 1, file_.get());
    // A checkpoint will say that these counts are done: they must be on disk by then.
    if (ferror(file_.get()) || fflush(file_.get()) != 0 || fsync(fileno(file_.get())) != 0) {
      return failure(part_, "cannot be written");
    }
    file_.reset();
    if (rename(part_.c_str(), path_.c_str()) != 0) return failure(path_, "cannot be renamed");
    return {};
  }

 private:
  void varint(uint64_t value) {
    for (; value >= 0x80; value >>= 7) putc_unlocked(static_cast<int>(value & 0x7f) | 0x80, file_.get());
    putc_unlocked(static_cast<int>(value), file_.get());
  }

  std::string path_, part_;
  File file_;
  uint64_t pieces_ = 0, checksum_ = kChecksumStart;
};

class RunReader {
 public:
  Status open(const std::string& path) {
    path_ = path;
    file_.reset(fopen(path.c_str(), "rb"));
    if (file_ == nullptr) return failure(path, "cannot be opened");
    setvbuf(file_.get(), nullptr, _IOFBF, kBuffer);
    char magic[kMagicBytes];
    if (fread(magic, 1, kMagicBytes, file_.get()) != kMagicBytes || memcmp(magic, kMagic, kMagicBytes) != 0) {
      return damaged();
    }
    return next();
  }
  // Moves to the next piece; at the last one's end, done() is true.
  Status next() {
    uint64_t length;
    if (!varint(length) || length > UINT32_MAX) return damaged();
    if (length == 0) return finish();
    bytes_.resize(length + 8);
    if (fread(bytes_.data(), 1, length, file_.get()) != length || !varint(count_) || count_ == 0) return damaged();
    checksum_ = checksumOf(checksum_, bytes_.data(), length, count_);
    pieces_ += 1;
    return {};
  }
  bool done() const { return done_; }
  PieceCount piece() const { return {bytes_.data(), bytes_.size() - 8, count_}; }

 private:
  Status finish() {
    uint64_t trailer[2];
    if (fread(trailer, sizeof trailer, 1, file_.get()) != 1 || trailer[0] != pieces_ || trailer[1] != checksum_) {
      return damaged();
    }
    done_ = true;
    file_.reset();
    return {};
  }
  bool varint(uint64_t& value) {
    value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      const int byte = getc_unlocked(file_.get());
      if (byte == EOF) return false;
      value |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) return true;
    }
    return false;
  }
  Status damaged() const {
    return Status::error(ErrorCode::kInternal, path_ +
                                                   ": a damaged file of counts (cut off, or changed since it was "
                                                   "written). Remove the checkpoint's folder and begin anew.");
  }

  std::string path_;
  File file_;
  std::vector<uint8_t> bytes_;
  uint64_t count_ = 0, pieces_ = 0, checksum_ = kChecksumStart;
  bool done_ = false;
};

int compare(const PieceCount& a, const PieceCount& b) {
  const int order = memcmp(a.bytes, b.bytes, std::min(a.length, b.length));
  return order != 0 ? order : a.length < b.length ? -1 : a.length > b.length;
}

Status mergeOpen(const std::string* paths, size_t number, const std::function<bool(const PieceCount&)>& visit) {
  std::vector<RunReader> readers(number);
  const auto later = [&](size_t a, size_t b) { return compare(readers[a].piece(), readers[b].piece()) > 0; };
  std::priority_queue<size_t, std::vector<size_t>, decltype(later)> heap(later);
  for (size_t i = 0; i < number; ++i) {
    if (Status status = readers[i].open(paths[i]); !status.ok()) return status;
    if (!readers[i].done()) heap.push(i);
  }
  std::vector<uint8_t> bytes;
  while (!heap.empty()) {
    const PieceCount first = readers[heap.top()].piece();
    bytes.assign(first.bytes, first.bytes + first.length + 8);
    PieceCount sum{bytes.data(), first.length, 0};
    while (!heap.empty() && compare(readers[heap.top()].piece(), sum) == 0) {
      const size_t top = heap.top();
      heap.pop();
      sum.count += readers[top].piece().count;
      if (Status status = readers[top].next(); !status.ok()) return status;
      if (!readers[top].done()) heap.push(top);
    }
    if (!visit(sum)) return {};
  }
  return {};
}

}  // namespace

Status writeRun(const std::string& path, const PieceTable& table) {
  RunWriter writer;
  if (Status status = writer.open(path); !status.ok()) return status;
  for (const PieceCount& piece : table.sorted()) writer.add(piece);
  return writer.close();
}

Status mergeRuns(std::vector<std::string> runs, const std::string& path,
                 const std::function<bool(const PieceCount&)>& visit) {
  std::vector<std::string> made;
  Status status;
  while (status.ok() && runs.size() > kOpenRuns) {
    made.push_back(path + std::to_string(made.size()));
    RunWriter writer;
    status = writer.open(made.back());
    if (!status.ok()) break;
    status = mergeOpen(runs.data(), kOpenRuns, [&](const PieceCount& piece) {
      writer.add(piece);
      return true;
    });
    if (status.ok()) status = writer.close();
    runs.erase(runs.begin(), runs.begin() + kOpenRuns);
    runs.push_back(made.back());
  }
  if (status.ok()) status = mergeOpen(runs.data(), runs.size(), visit);
  for (const std::string& file : made) unlink(file.c_str());
  return status;
}

}  // namespace quipu::tokenizer
