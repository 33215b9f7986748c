#include "core/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace quipu {

namespace {

Status failure(const std::string& path, const char* what) {
  return Status::error(ErrorCode::kModelInvalid, path + ": " + what + ": " + strerror(errno));
}

Status refused(const std::string& path, const char* doing, size_t bytes, const char* of) {
  return Status::error(ErrorCode::kOutOfMemory, path + ": " + doing + " it needs " + std::to_string(bytes) +
                                                    " bytes of " + of + ", which the system refused");
}

}  // namespace

MappedFile::MappedFile(std::string path, int descriptor, size_t bytes, bool mapped)
    : path_(std::move(path)), descriptor_(descriptor), bytes_(bytes), mapped_(mapped) {}

MappedFile::~MappedFile() {
  close();
  if (data_ != nullptr) munmap(data_, bytes_);
}

void MappedFile::close() {
  if (descriptor_ >= 0) ::close(descriptor_);
  descriptor_ = -1;
}

Status MappedFile::open(const std::string& path, size_t expectedBytes, bool map, std::shared_ptr<MappedFile>& out) {
  // Whoever put a pipe into its place since the header was read: opening it must not wait for a writer.
  std::shared_ptr<MappedFile> file(new MappedFile(path, -1, expectedBytes, map));
  file->descriptor_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file->descriptor_ < 0) return failure(path, "cannot be opened");
  struct stat info;
  if (fstat(file->descriptor_, &info) != 0) return failure(path, "cannot be examined");
  if (!S_ISREG(info.st_mode)) return Status::error(ErrorCode::kModelInvalid, path + ": expected a file");
  const auto bytes = static_cast<size_t>(info.st_size);
  if (bytes != expectedBytes) {
    return Status::error(ErrorCode::kModelInvalid, path + ": its size changed while it was being opened: expected " +
                                                       std::to_string(expectedBytes) + " bytes, got " +
                                                       std::to_string(bytes) + ". Is it still being written?");
  }
  if (bytes > 0) {
    void* data = map ? mmap(nullptr, bytes, PROT_READ, MAP_SHARED, file->descriptor_, 0)
                     : mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (data == MAP_FAILED && !map) return refused(path, "reading", bytes, "memory");
    if (data == MAP_FAILED && errno == ENOMEM) return refused(path, "mapping", bytes, "address space");
    if (data == MAP_FAILED) return failure(path, "cannot be mapped, but perhaps be read into memory");
    file->data_ = static_cast<std::byte*>(data);
  }
  if (map || bytes == 0) {
    file->ready_ = bytes;
    file->close();
  }
  out = std::move(file);
  return {};
}

Status MappedFile::create(const std::string& path, int descriptor, size_t bytes, std::shared_ptr<MappedFile>& out) {
  void* data = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
  if (data == MAP_FAILED) return failure(path, "cannot be mapped");
  std::shared_ptr<MappedFile> file(new MappedFile(path, -1, bytes, true));
  file->data_ = static_cast<std::byte*>(data);
  file->ready_ = bytes;
  file->writable_ = true;
  out = std::move(file);
  return {};
}

Status MappedFile::read(size_t most) {
  const size_t end = ready_ + std::min(most, bytes_ - ready_);
  while (ready_ < end) {
    const ssize_t got = pread(descriptor_, data_ + ready_, end - ready_, static_cast<off_t>(ready_));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return failure(path_, "cannot be read");
    if (got == 0) return Status::error(ErrorCode::kModelInvalid, path_ + ": ended early while it was being read");
    ready_ += static_cast<size_t>(got);
  }
  if (ready_ == bytes_) close();
  return {};
}

}  // namespace quipu
