// A checkpoint shard in memory: mapped (pages come and go with the page cache) or read, whole or a part of it
// (--no-mmap, for files that others may truncate: a mapped file that shrinks kills the process with SIGBUS); or a file
// that is being made, mapped to be written.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "core/error.h"

namespace quipu {

class MappedFile {
 public:
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  // `expectedBytes` is the size whose header was checked; another size now is an error.
  static Status map(const std::string& path, size_t expectedBytes, std::shared_ptr<MappedFile>& out);
  // The same of a file to be read: `bytes` of it from byte `first` on, none of which is there before it is read.
  static Status open(const std::string& path, size_t expectedBytes, size_t first, size_t bytes,
                     std::shared_ptr<MappedFile>& out);

  // Maps a file that is being made, of so many bytes that the disk has. The descriptor stays the caller's.
  static Status create(const std::string& path, int descriptor, size_t bytes, std::shared_ptr<MappedFile>& out);
  // A wish, of a mapped file of which all will be read; one that is read, or made, has said so. In pages of 4 KB
  // products by q8 and q6 are read a tenth to a third slower, and 800 MB written in 1.4 s of processor time where large
  // pages take 0.12 (Zen 5, Linux 6.18, ext4). What is read here and there is better read in small ones.
  void preferLargePages();
  // It is made: nobody writes to it any more.
  void seal() { writable_ = false; }

  // Reads the next `most` bytes, or those that are left. On any thread, but on one at a time.
  Status read(size_t most);

  const std::byte* data() const { return data_; }
  std::byte* data() { return data_; }
  size_t bytes() const { return bytes_; }
  // Bytes that are there, from the beginning.
  size_t readyBytes() const { return ready_; }
  // Whether the pages are the file's own.
  bool mapped() const { return mapped_; }
  // Whether it is being made.
  bool writable() const { return writable_; }

 private:
  MappedFile(std::string path, size_t first, size_t bytes, bool mapped);
  Status find(size_t expectedBytes);
  void close();

  const std::string path_;
  int descriptor_ = -1;  // −1 once all is there
  std::byte* data_ = nullptr;
  const size_t first_;  // of the file's bytes
  const size_t bytes_;
  size_t ready_ = 0;
  const bool mapped_;
  bool writable_ = false;
};

}  // namespace quipu
