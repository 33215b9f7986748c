// Prepared files (core/prepared_file.h) beyond what vocabularies show (test/unit/tokenizer/prepared-table): sections of
// many blocks, empty ones, what cannot be made, and threads that write and read one at once.
#include "core/prepared_file.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

#include "checks.h"

namespace quipu::test {

namespace {

constexpr uint64_t kSizes[] = {0, 1, 63, 64, 65, 128, 1000, 0, 64 * 30};
// Sections of several blocks, of which threads take some each.
constexpr uint64_t kLarge[] = {5, 3 << 20, (1 << 20) + 1, 1 << 20};

Preparation preparation(uint64_t source) { return {"test", 1, {source, 2, 3, 4}}; }

uint8_t byteAt(size_t section, size_t at) { return static_cast<uint8_t>(section * 31 + at * 7 + (at >> 8)); }

std::shared_ptr<PreparedFile> fill(const std::string& path, uint64_t source, std::span<const uint64_t> sizes) {
  std::string problem;
  std::shared_ptr<PreparedFile> file = PreparedFile::make(path, preparation(source), sizes, problem);
  QUIPU_EXPECT(file != nullptr && problem.empty());
  for (size_t section = 0; section < sizes.size(); ++section) {
    const std::span<uint8_t> bytes = file->room(section);
    for (size_t at = 0; at < bytes.size(); ++at) bytes[at] = byteAt(section, at);
  }
  return file;
}

void writeIn(const std::string& path, uint64_t source, uint32_t threads, std::span<const uint64_t> sizes = kSizes) {
  QUIPU_EXPECT(fill(path, source, sizes)->finish(threads).empty());
}

using Finding = PreparedFile::Finding;

Finding find(const std::string& path, uint64_t source, std::shared_ptr<PreparedFile>& file) {
  return PreparedFile::open(path, preparation(source), file);
}

bool isWhole(const std::string& path, uint64_t source, std::span<const uint64_t> sizes = kSizes, uint32_t threads = 1) {
  std::shared_ptr<PreparedFile> file;
  if (find(path, source, file) != Finding::kUsable || !file->verify(threads)) return false;
  QUIPU_EXPECT(file->sections() == sizes.size());
  for (size_t section = 0; section < sizes.size(); ++section) {
    const std::span<const uint8_t> bytes = file->section(section);
    QUIPU_EXPECT(bytes.size() == sizes[section] && reinterpret_cast<uintptr_t>(bytes.data()) % 64 == 0);
    for (size_t at = 0; at < bytes.size(); ++at) QUIPU_EXPECT(bytes[at] == byteAt(section, at));
  }
  return true;
}

// Every file that is cut short, and every one with a flipped bit: all bits before the sections, one of each other byte.
void testDamage(const std::string& path, uint64_t source) {
  const int file = open(path.c_str(), O_RDWR | O_CLOEXEC);
  struct stat info;
  QUIPU_EXPECT(file >= 0 && fstat(file, &info) == 0);
  const auto bytes = static_cast<size_t>(info.st_size);
  std::vector<uint8_t> whole(bytes);
  QUIPU_EXPECT(pread(file, whole.data(), bytes, 0) == info.st_size);
  for (size_t at = 0; at < bytes; ++at) {
    for (size_t bit = 0; bit < 8; ++bit) {
      if (at >= 256 && bit != at % 8) continue;
      const auto flipped = static_cast<uint8_t>(whole[at] ^ (1 << bit));
      QUIPU_EXPECT(pwrite(file, &flipped, 1, static_cast<off_t>(at)) == 1);
      QUIPU_EXPECT(!isWhole(path, source));
    }
    QUIPU_EXPECT(pwrite(file, &whole[at], 1, static_cast<off_t>(at)) == 1);
  }
  QUIPU_EXPECT(isWhole(path, source));
  for (size_t length = bytes; length-- > 0;) {
    QUIPU_EXPECT(ftruncate(file, static_cast<off_t>(length)) == 0);
    QUIPU_EXPECT(!isWhole(path, source));
  }
  close(file);
}

// Bits in every block, and at its ends; and threads that find them.
void testLargeDamage(const std::string& path, uint64_t source) {
  const int file = open(path.c_str(), O_RDWR | O_CLOEXEC);
  struct stat info;
  QUIPU_EXPECT(file >= 0 && fstat(file, &info) == 0);
  for (off_t at = 0; at < info.st_size; at += (1 << 18) - 63) {
    for (const off_t place : {at, info.st_size - 1 - at}) {
      uint8_t byte;
      QUIPU_EXPECT(pread(file, &byte, 1, place) == 1);
      const auto flipped = static_cast<uint8_t>(byte ^ 16);
      QUIPU_EXPECT(pwrite(file, &flipped, 1, place) == 1);
      QUIPU_EXPECT(!isWhole(path, source, kLarge, 2));
      QUIPU_EXPECT(pwrite(file, &byte, 1, place) == 1);
    }
  }
  QUIPU_EXPECT(isWhole(path, source, kLarge, 2));
  close(file);
}

// The first section, where it is whole, whatever becomes of the others.
void testDescription(const std::string& path) {
  const std::vector<uint64_t> sizes = {10, 100};
  writeIn(path, 5, 1, sizes);
  Preparation is;
  std::string description;
  QUIPU_EXPECT(PreparedFile::describe(path, 10, is, description) && description.size() == 10);
  QUIPU_EXPECT(is.kind == "test" && is.version == 1 && is.source[0] == 5);
  QUIPU_EXPECT(!PreparedFile::describe(path, 9, is, description));
  const int file = open(path.c_str(), O_RDWR | O_CLOEXEC);
  const uint8_t other = 77;
  QUIPU_EXPECT(pwrite(file, &other, 1, 128 + 64 + 50) == 1);  // in the second
  QUIPU_EXPECT(!isWhole(path, 5, sizes) && PreparedFile::describe(path, 10, is, description));
  QUIPU_EXPECT(pwrite(file, &other, 1, 128 + 5) == 1);  // in the first
  QUIPU_EXPECT(!PreparedFile::describe(path, 10, is, description));
  close(file);
}

// A head with so many empty sections, all of whose sums are right.
std::vector<uint8_t> headWith(uint32_t sections, const std::string& path) {
  constexpr size_t kFields[] = {28, 64, 72};  // how many sections, bytes of the file, checksum
  const size_t bytes = (80 + size_t{16} * sections + 63) / 64 * 64;
  std::vector<uint8_t> head(bytes);
  writeIn(path, 8, 1, std::vector<uint64_t>{0});
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  QUIPU_EXPECT(pread(file, head.data(), 96, 0) == 96);
  close(file);
  for (size_t i = 1; i < sections; ++i) memcpy(&head[80 + 16 * i], &head[80], 16);
  const uint64_t whole = bytes;
  memcpy(&head[kFields[0]], &sections, sizeof sections);
  memcpy(&head[kFields[1]], &whole, sizeof whole);
  memset(&head[kFields[2]], 0, sizeof(uint64_t));
  Checksum checksum;
  checksum.add(head);
  const uint64_t sum = checksum.sum();
  memcpy(&head[kFields[2]], &sum, sizeof sum);
  return head;
}

// A flipped bit of their count must not have a head of gigabytes looked at: there are only so many.
void testManySections(const std::string& path) {
  constexpr uint32_t kMost = 1 << 16;
  for (const uint32_t sections : {kMost, kMost + 1}) {
    const std::vector<uint8_t> head = headWith(sections, path);
    const int file = open(path.c_str(), O_WRONLY | O_TRUNC | O_CLOEXEC);
    QUIPU_EXPECT(write(file, head.data(), head.size()) == static_cast<ssize_t>(head.size()));
    close(file);
    std::shared_ptr<PreparedFile> found;
    QUIPU_EXPECT(find(path, 8, found) == (sections > kMost ? Finding::kDamaged : Finding::kUsable));
    const std::vector<uint64_t> sizes(sections);
    std::string problem;
    QUIPU_EXPECT((PreparedFile::make(path, preparation(1), sizes, problem) == nullptr) == (sections > kMost));
    QUIPU_EXPECT(problem.empty() == (sections == kMost));
  }
}

// What is wrong is said, and nothing is left behind.
void testRefusals(const std::string& folder, const std::string& path) {
  std::string problem;
  const auto make = [&](const std::string& at, std::vector<uint64_t> sizes) {
    problem.clear();
    return PreparedFile::make(at, preparation(1), sizes, problem);
  };
  for (const uint64_t bytes : {UINT64_MAX, UINT64_MAX - 63, uint64_t{1} << 63, uint64_t{INT64_MAX} - 63}) {
    QUIPU_EXPECT(make(path, {1, bytes}) == nullptr && !problem.empty());
    QUIPU_EXPECT(make(path, {bytes, bytes, bytes}) == nullptr && !problem.empty());
  }
  QUIPU_EXPECT(make(path, {uint64_t{1} << 60}) == nullptr && !problem.empty());  // no disk has as much
  QUIPU_EXPECT(make(folder + "/none/file", {1}) == nullptr && !problem.empty());
  // Its place is taken by a folder when it is finished: it stays good, in memory.
  const std::string taken = folder + "/taken";
  const std::shared_ptr<PreparedFile> file = fill(taken, 1, kSizes);
  QUIPU_EXPECT(mkdir(taken.c_str(), 0700) == 0);
  QUIPU_EXPECT(!file->finish(1).empty() && file->verify(2) && file->section(6)[999] == byteAt(6, 999));
  QUIPU_EXPECT(rmdir(taken.c_str()) == 0);
  std::shared_ptr<PreparedFile> none;
  QUIPU_EXPECT(find(folder, 1, none) == Finding::kDamaged && find(taken, 1, none) == Finding::kAbsent);
}

int entries(const char* folder) {
  DIR* listed = opendir(folder);
  int names = 0;
  while (readdir(listed) != nullptr) ++names;
  closedir(listed);
  return names - 2;  // . and ..
}

}  // namespace

uint64_t testPreparedFile() {
  char folder[] = "/tmp/quipu-prepared-XXXXXX";
  QUIPU_EXPECT(mkdtemp(folder) != nullptr);
  const std::string path = std::string(folder) + "/file";
  uint64_t files = 0;
  for (const uint32_t threads : {1, 2, 9}) {
    writeIn(path, threads, threads, kLarge);
    QUIPU_EXPECT(isWhole(path, threads, kLarge, 1) && isWhole(path, threads, kLarge, 3));
    ++files;
  }
  testLargeDamage(path, 9);
  writeIn(path, 8, 1);
  std::shared_ptr<PreparedFile> other;
  QUIPU_EXPECT(find(path, 9, other) == Finding::kOther && other == nullptr);
  testDamage(path, 8);
  testDescription(path);
  testManySections(path);
  writeIn(path, 8, 1);
  files += 2;
  {
    const std::shared_ptr<PreparedFile> never = fill(path, 9, kSizes);
    QUIPU_EXPECT(entries(folder) == 1);  // it has no name yet, where the system has such files
  }  // never finished: what was there stays
  QUIPU_EXPECT(isWhole(path, 8) && entries(folder) == 1);
  testRefusals(folder, path);
  std::vector<std::thread> threads;
  for (uint64_t thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&, thread] {
      for (uint64_t round = 0; round < 50; ++round) {
        if (thread < 2) {
          writeIn(path, 7, 1);
        } else {
          QUIPU_EXPECT(isWhole(path, 7) || isWhole(path, 8) || isWhole(path, 7));
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  files += 100;
  QUIPU_EXPECT(isWhole(path, 7));
  QUIPU_EXPECT(entries(folder) == 1);
  QUIPU_EXPECT(unlink(path.c_str()) == 0 && rmdir(folder) == 0);
  return files;
}

}  // namespace quipu::test
