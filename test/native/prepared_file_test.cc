// Prepared files (core/prepared_file.h) beyond what vocabularies show (test/unit/tokenizer/prepared-table): sections in
// pieces, empty ones, and threads that write and read one at once.
#include "core/prepared_file.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

#include "checks.h"

namespace quipu::test {

namespace {

constexpr size_t kSizes[] = {0, 1, 63, 64, 65, 128, 1000, 0, 64 * 30};
constexpr uint32_t kSections = std::size(kSizes);

Preparation preparation(uint64_t source) { return {"test", 1, {source, 2, 3, 4}, kSections}; }

uint8_t byteAt(uint32_t section, size_t at) { return static_cast<uint8_t>(section * 31 + at * 7 + (at >> 8)); }

void writeIn(const std::string& path, uint64_t source, size_t piece) {
  PreparedWriter writer(path, preparation(source));
  for (uint32_t section = 0; section < kSections; ++section) {
    std::vector<uint8_t> bytes(kSizes[section]);
    for (size_t at = 0; at < bytes.size(); ++at) bytes[at] = byteAt(section, at);
    writer.begin();
    const std::span<const uint8_t> all = bytes;
    for (size_t at = 0; at < all.size(); at += piece) writer.write(all.subspan(at, std::min(piece, all.size() - at)));
  }
  writer.finish();
}

bool isWhole(const std::string& path, uint64_t source) {
  const auto file = PreparedFile::open(path, preparation(source));
  if (file == nullptr) return false;
  for (uint32_t section = 0; section < kSections; ++section) {
    const std::span<const uint8_t> bytes = file->section(section);
    QUIPU_EXPECT(bytes.size() == kSizes[section] && reinterpret_cast<uintptr_t>(bytes.data()) % 64 == 0);
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

}  // namespace

uint64_t testPreparedFile() {
  char folder[] = "/tmp/quipu-prepared-XXXXXX";
  QUIPU_EXPECT(mkdtemp(folder) != nullptr);
  const std::string path = std::string(folder) + "/file";
  uint64_t files = 0;
  for (const size_t piece : {64, 128, 64 * 1000}) {
    writeIn(path, piece, piece);
    QUIPU_EXPECT(isWhole(path, piece) && !isWhole(path, piece + 1));
    ++files;
  }
  testDamage(path, 64 * 1000);
  writeIn(path, 64 * 1000, 64);
  ++files;
  {
    PreparedWriter(path, preparation(9)).begin();
  }  // never finished: what was there stays
  QUIPU_EXPECT(isWhole(path, 64 * 1000));
  std::vector<std::thread> threads;
  for (uint64_t thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&, thread] {
      for (uint64_t round = 0; round < 50; ++round) {
        if (thread < 2) {
          writeIn(path, 7, 64);
        } else {
          QUIPU_EXPECT(isWhole(path, 7) || isWhole(path, 64 * 1000) || isWhole(path, 7));
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  files += 100;
  QUIPU_EXPECT(isWhole(path, 7));
  DIR* listed = opendir(folder);
  int names = 0;
  while (readdir(listed) != nullptr) ++names;
  closedir(listed);
  QUIPU_EXPECT(names == 3);  // with . and ..
  QUIPU_EXPECT(unlink(path.c_str()) == 0 && rmdir(folder) == 0);
  return files;
}

}  // namespace quipu::test
