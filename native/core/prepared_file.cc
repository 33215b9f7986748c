#include "core/prepared_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "core/mixed.h"

namespace quipu {

namespace {

constexpr char kMagic[8] = {'q', 'u', 'i', 'p', 'u', 'p', 'r', 'e'};
constexpr uint64_t kUnit = 64;

struct Header {
  char magic[8];
  char kind[16];
  uint32_t version, sections;
  uint64_t source[4];
  uint64_t bytes;
  uint64_t checksum;
};

constexpr uint64_t rounded(uint64_t bytes) { return (bytes + kUnit - 1) / kUnit * kUnit; }

// Of the first section.
uint64_t startAfter(size_t sections) { return rounded(sizeof(Header) + sections * sizeof(PreparedSection)); }

// What lies before the first section of a file of so many bytes.
std::vector<uint8_t> headOf(const Preparation& made, uint64_t bytes, std::span<const PreparedSection> sections) {
  Header header{};
  memcpy(header.magic, kMagic, sizeof kMagic);
  memcpy(header.kind, made.kind.data(), std::min(made.kind.size(), sizeof header.kind));
  header.version = made.version;
  header.sections = made.sections;
  std::copy(made.source.begin(), made.source.end(), header.source);
  header.bytes = bytes;
  std::vector<uint8_t> head(startAfter(sections.size()));
  memcpy(head.data(), &header, sizeof header);
  memcpy(head.data() + sizeof header, sections.data(), sections.size_bytes());
  Checksum checksum;
  checksum.add(head);
  header.checksum = checksum.sum();
  memcpy(head.data(), &header, sizeof header);
  return head;
}

}  // namespace

void Checksum::add(std::span<const uint8_t> piece) {
  uint64_t a = sums_[0], b = sums_[1], c = sums_[2], d = sums_[3];  // by name: gcc keeps an array in memory
  while (!piece.empty()) {
    uint64_t words[8] = {};
    const size_t bytes = std::min(piece.size(), sizeof words);
    if (bytes == sizeof words) {  // of a size that the compiler knows, it is two loads
      memcpy(words, piece.data(), sizeof words);
    } else {
      memcpy(words, piece.data(), bytes);
    }
    a = mixed(words[0] ^ a, words[1]);
    b = mixed(words[2] ^ b, words[3]);
    c = mixed(words[4] ^ c, words[5]);
    d = mixed(words[6] ^ d, words[7]);
    piece = piece.subspan(bytes);
  }
  sums_ = {a, b, c, d};
}

uint64_t Checksum::sum() const { return mixed(mixed(sums_[0], sums_[1]), mixed(sums_[2], sums_[3])); }

std::shared_ptr<const PreparedFile> PreparedFile::open(const std::string& path, const Preparation& expected) {
  const std::shared_ptr<PreparedFile> file(new PreparedFile());
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);  // a pipe is refused, not waited for
  if (descriptor < 0) return nullptr;
  struct stat info;
  void* data = MAP_FAILED;
  if (fstat(descriptor, &info) == 0 && S_ISREG(info.st_mode) && info.st_size > 0) {
    file->bytes_ = static_cast<size_t>(info.st_size);
#if defined(MAP_POPULATE)
    constexpr int kFlags = MAP_PRIVATE | MAP_POPULATE;
#else
    constexpr int kFlags = MAP_PRIVATE;
#endif
    data = mmap(nullptr, file->bytes_, PROT_READ, kFlags, descriptor, 0);
  }
  close(descriptor);
  if (data == MAP_FAILED) return nullptr;
  file->data_ = static_cast<const uint8_t*>(data);
  return file->read(expected) ? file : nullptr;
}

PreparedFile::~PreparedFile() {
  if (data_ != nullptr) munmap(const_cast<uint8_t*>(data_), bytes_);
}

bool PreparedFile::read(const Preparation& expected) {
  const uint64_t start = startAfter(expected.sections);
  if (bytes_ < start) return false;
  std::vector<PreparedSection> table(expected.sections);
  memcpy(table.data(), data_ + sizeof(Header), table.size() * sizeof(PreparedSection));
  if (memcmp(data_, headOf(expected, bytes_, table).data(), start) != 0) return false;
  uint64_t at = start;
  sections_.reserve(table.size());
  for (const PreparedSection& section : table) {
    const uint64_t room = bytes_ - at;
    if (section.bytes > room || rounded(section.bytes) > room) return false;
    Checksum checksum;
    checksum.add({data_ + at, static_cast<size_t>(rounded(section.bytes))});
    if (checksum.sum() != section.checksum) return false;
    sections_.emplace_back(data_ + at, section.bytes);
    at += rounded(section.bytes);
  }
  return at == bytes_;
}

PreparedWriter::PreparedWriter(std::string path, const Preparation& made)
    : path_(std::move(path)), temporary_(path_ + ".XXXXXX"), made_(made), end_(startAfter(made.sections)) {
  sections_.reserve(made.sections);
  descriptor_ = mkstemp(temporary_.data());
}

PreparedWriter::~PreparedWriter() {
  if (descriptor_ < 0) return;
  close(descriptor_);
  unlink(temporary_.c_str());
}

void PreparedWriter::begin() {
  endSection();
  sections_.push_back({});
  checksum_ = {};
}

void PreparedWriter::write(std::span<const uint8_t> piece) {
  checksum_.add(piece);
  put(piece.data(), piece.size(), end_);
  sections_.back().bytes += piece.size();
  end_ += piece.size();
}

void PreparedWriter::endSection() {
  if (!sections_.empty()) sections_.back().checksum = checksum_.sum();
  const uint8_t zeros[kUnit] = {};
  put(zeros, rounded(end_) - end_, end_);
  end_ = rounded(end_);
}

void PreparedWriter::finish() {
  endSection();
  const std::vector<uint8_t> head = headOf(made_, end_, sections_);
  put(head.data(), head.size(), 0);
  if (descriptor_ < 0) return;
  const bool whole = close(std::exchange(descriptor_, -1)) == 0;  // where some systems tell what could not be written
  if (!whole || rename(temporary_.c_str(), path_.c_str()) != 0) unlink(temporary_.c_str());
}

// What cannot be written ends it: nothing is left of it.
void PreparedWriter::put(const void* data, size_t bytes, uint64_t at) {
  const auto* p = static_cast<const uint8_t*>(data);
  while (descriptor_ >= 0 && bytes > 0) {
    const ssize_t wrote = pwrite(descriptor_, p, bytes, static_cast<off_t>(at));
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote <= 0) {
      close(descriptor_);
      descriptor_ = -1;
      unlink(temporary_.c_str());
      return;
    }
    p += wrote;
    bytes -= static_cast<size_t>(wrote);
    at += static_cast<uint64_t>(wrote);
  }
}

}  // namespace quipu
