#include "core/prepared_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <utility>

#include "core/mixed.h"
#include "core/thread.h"

namespace quipu {

namespace {

constexpr char kMagic[8] = {'q', 'u', 'i', 'p', 'u', 'p', 'r', 'e'};
constexpr uint64_t kUnit = 64, kBlock = 1 << 20;
// What is looked at before a checksum tells: a wrong count of sections would be a head of any size.
constexpr uint64_t kMostSections = 1 << 16;

struct Header {
  char magic[8];
  char kind[16];
  uint32_t version, sections;
  uint64_t source[4];
  uint64_t bytes;
  uint64_t checksum;
};

struct Entry {
  uint64_t bytes;
  uint64_t checksum;
};

constexpr uint64_t rounded(uint64_t bytes) { return (bytes + kUnit - 1) / kUnit * kUnit; }

// Of the first section.
constexpr uint64_t startAfter(uint64_t sections) { return rounded(sizeof(Header) + sections * sizeof(Entry)); }

// What lies before the first section of a file of so many bytes.
std::vector<uint8_t> headOf(const Preparation& is, uint64_t bytes, std::span<const Entry> sections) {
  Header header{};
  memcpy(header.magic, kMagic, sizeof kMagic);
  memcpy(header.kind, is.kind.data(), std::min(is.kind.size(), sizeof header.kind));
  header.version = is.version;
  header.sections = static_cast<uint32_t>(sections.size());
  std::copy(is.source.begin(), is.source.end(), header.source);
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

// Gives the file so many bytes of the disk; false, with errno, where there are not as many.
bool reserve(int descriptor, uint64_t bytes) {
#if defined(__linux__)
  int failed;
  do {
    failed = fallocate(descriptor, 0, 0, static_cast<off_t>(bytes));
  } while (failed != 0 && errno == EINTR);
  return failed == 0;
#else
  const std::vector<uint8_t> zeros(kBlock);
  for (uint64_t at = 0; at < bytes;) {
    const ssize_t wrote = pwrite(descriptor, zeros.data(), std::min(kBlock, bytes - at), static_cast<off_t>(at));
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote <= 0) return false;
    at += static_cast<uint64_t>(wrote);
  }
  return true;
#endif
}

// A file without a name in the folder of `path`, where the system has such; else one that is named beside it.
int openTemporary(const std::string& path, std::string& name) {
#if defined(O_TMPFILE)
  const std::string folder = path.substr(0, path.rfind('/') + 1);
  const int unnamed = open(folder.empty() ? "." : folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (unnamed >= 0) return unnamed;
#endif
  name = path + ".XXXXXX";
  const int named = mkstemp(name.data());
  if (named < 0) name.clear();
  return named;
}

// Names a file that has no name beside `path`; false, with errno, where that cannot be.
bool nameBeside(int descriptor, const std::string& path, std::string& name) {
  const std::string link = "/proc/self/fd/" + std::to_string(descriptor);
  for (int tries = 0; tries < 100; ++tries) {
    // mkstemp makes a name that nobody has; the file that it makes gives way to ours.
    std::string candidate = path + ".XXXXXX";
    const int taken = mkstemp(candidate.data());
    if (taken < 0) return false;
    close(taken);
    unlink(candidate.c_str());
    if (linkat(AT_FDCWD, link.c_str(), AT_FDCWD, candidate.c_str(), AT_SYMLINK_FOLLOW) == 0) {
      name = std::move(candidate);
      return true;
    }
    if (errno != EEXIST) return false;
  }
  return false;
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

PreparedFile::~PreparedFile() {
  if (descriptor_ >= 0) close(descriptor_);
  if (!temporary_.empty()) unlink(temporary_.c_str());
}

PreparedFile::Finding PreparedFile::open(const std::string& path, const Preparation& expected,
                                         std::shared_ptr<PreparedFile>& out) {
  const std::shared_ptr<PreparedFile> file(new PreparedFile());
  struct stat info;
  if (stat(path.c_str(), &info) != 0) return Finding::kAbsent;
  if (!S_ISREG(info.st_mode)) return Finding::kDamaged;
  if (!MappedFile::map(path, static_cast<size_t>(info.st_size), file->file_).ok()) return Finding::kAbsent;
  Preparation is;
  if (!file->readHead(is)) return Finding::kDamaged;
  if (is.kind != expected.kind || is.version != expected.version || is.source != expected.source) {
    return Finding::kOther;
  }
  file->file_->preferLargePages();
  out = file;
  return Finding::kUsable;
}

// What the head says is checked before it is used: it may be anything.
bool PreparedFile::readHead(Preparation& is) {
  const auto* data = reinterpret_cast<const uint8_t*>(file_->data());
  const uint64_t bytes = file_->bytes();
  Header header;
  if (bytes < sizeof header) return false;
  memcpy(&header, data, sizeof header);
  const uint64_t start = startAfter(header.sections);
  if (header.sections > kMostSections || start > bytes) return false;
  is.kind.assign(header.kind, strnlen(header.kind, sizeof header.kind));
  is.version = header.version;
  std::copy(std::begin(header.source), std::end(header.source), is.source.begin());
  std::vector<Entry> entries(header.sections);
  memcpy(entries.data(), data + sizeof header, entries.size() * sizeof(Entry));
  if (memcmp(data, headOf(is, bytes, entries).data(), start) != 0) return false;
  uint64_t at = start;
  sections_.reserve(entries.size());
  for (const Entry& entry : entries) {
    const uint64_t room = bytes - at;
    if (entry.bytes > room || rounded(entry.bytes) > room) return false;
    sections_.push_back({at, entry.bytes, entry.checksum});
    at += rounded(entry.bytes);
  }
  return at == bytes;
}

std::shared_ptr<PreparedFile> PreparedFile::make(const std::string& path, const Preparation& made,
                                                 std::span<const uint64_t> sizes, std::string& problem) {
  const std::shared_ptr<PreparedFile> file(new PreparedFile());
  if (sizes.size() > kMostSections) {
    problem = path + ": it would have too many sections";
    return nullptr;
  }
  uint64_t at = startAfter(sizes.size());
  for (const uint64_t bytes : sizes) {
    file->sections_.push_back({at, bytes, 0});
    if (bytes > INT64_MAX - kUnit || __builtin_add_overflow(at, rounded(bytes), &at) || at > INT64_MAX) {
      problem = path + ": it would be too large";
      return nullptr;
    }
  }
  file->made_ = made;
  file->path_ = path;
  file->descriptor_ = openTemporary(path, file->temporary_);
  if (file->descriptor_ < 0 || !reserve(file->descriptor_, at)) {
    problem = path + ": " + strerror(errno);
    return nullptr;
  }
  if (Status status = MappedFile::create(path, file->descriptor_, at, file->file_); !status.ok()) {
    problem = std::move(status.message);
    return nullptr;
  }
  return file;
}

std::span<const uint8_t> PreparedFile::section(size_t index) const {
  const Section& section = sections_[index];
  return {reinterpret_cast<const uint8_t*>(file_->data()) + section.offset, section.bytes};
}

std::span<uint8_t> PreparedFile::room(size_t index) {
  const std::span<const uint8_t> bytes = section(index);
  return {const_cast<uint8_t*>(bytes.data()), bytes.size()};
}

// Of the first sections. Threads take blocks as they come to them: a section may be half of the file.
std::vector<uint64_t> PreparedFile::sums(uint32_t threads, size_t sections) const {
  std::vector<std::span<const uint8_t>> blocks;
  for (size_t i = 0; i < sections; ++i) {
    const uint8_t* data = section(i).data();
    const size_t bytes = rounded(sections_[i].bytes);
    for (size_t at = 0; at < bytes; at += kBlock) blocks.emplace_back(data + at, std::min(kBlock, bytes - at));
  }
  std::vector<uint64_t> ofBlocks(blocks.size());
  std::atomic<size_t> next{0};
  const auto work = [&] {
    for (size_t i; (i = next.fetch_add(1, std::memory_order_relaxed)) < blocks.size();) {
      Checksum checksum;
      checksum.add(blocks[i]);
      ofBlocks[i] = checksum.sum();
    }
  };
  std::vector<std::thread> others;
  const size_t most = std::min<size_t>(threads, blocks.size());
  while (others.size() + 1 < most && startThread(others, work)) {
  }
  work();
  for (std::thread& other : others) other.join();
  std::vector<uint64_t> sums;
  size_t first = 0;
  for (size_t i = 0; i < sections; ++i) {
    const size_t count = (rounded(sections_[i].bytes) + kBlock - 1) / kBlock;
    Checksum checksum;
    checksum.add({reinterpret_cast<const uint8_t*>(ofBlocks.data() + first), count * sizeof(uint64_t)});
    sums.push_back(checksum.sum());
    first += count;
  }
  return sums;
}

bool PreparedFile::verify(uint32_t threads) const {
  const std::vector<uint64_t> are = sums(threads, sections_.size());
  for (size_t i = 0; i < sections_.size(); ++i) {
    if (are[i] != sections_[i].checksum) return false;
  }
  return true;
}

std::string PreparedFile::finish(uint32_t threads) {
  const std::vector<uint64_t> are = sums(threads, sections_.size());
  std::vector<Entry> entries;
  for (size_t i = 0; i < sections_.size(); ++i) {
    sections_[i].checksum = are[i];
    entries.push_back({sections_[i].bytes, are[i]});
  }
  const std::vector<uint8_t> head = headOf(made_, file_->bytes(), entries);
  memcpy(file_->data(), head.data(), head.size());
  file_->seal();
  const auto failed = [&] { return path_ + ": " + strerror(errno); };
  if (temporary_.empty() && !nameBeside(descriptor_, path_, temporary_)) return failed();
  close(std::exchange(descriptor_, -1));
  if (rename(temporary_.c_str(), path_.c_str()) != 0) return failed();
  temporary_.clear();
  return {};
}

bool PreparedFile::describe(const std::string& path, size_t most, Preparation& is, std::string& description) {
  PreparedFile file;
  struct stat info;
  if (stat(path.c_str(), &info) != 0 || !S_ISREG(info.st_mode)) return false;
  if (!MappedFile::map(path, static_cast<size_t>(info.st_size), file.file_).ok() || !file.readHead(is)) {
    return false;
  }
  if (file.sections_.empty() || file.sections_[0].bytes > most) return false;
  if (file.sums(1, 1)[0] != file.sections_[0].checksum) return false;
  const std::span<const uint8_t> bytes = file.section(0);
  description.assign(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  return true;
}

}  // namespace quipu
