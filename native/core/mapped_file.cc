#include "core/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>

namespace quipu {

namespace {

struct Descriptor {
  int fd;
  ~Descriptor() {
    if (fd >= 0) close(fd);
  }
};

Status failure(const std::string& path, const char* what) {
  return Status::error(ErrorCode::kModelInvalid, path + ": " + what + ": " + strerror(errno));
}

Status refused(const std::string& path, const char* doing, size_t bytes, const char* of) {
  return Status::error(ErrorCode::kOutOfMemory, path + ": " + doing + " it needs " + std::to_string(bytes) +
                                                    " bytes of " + of + ", which the system refused");
}

}  // namespace

MappedFile::~MappedFile() {
  if (bytes_ > 0) munmap(data_, bytes_);
}

Status MappedFile::open(const std::string& path, size_t expectedBytes, bool map, std::shared_ptr<MappedFile>& out) {
  // Whoever put a pipe into its place since the header was read: opening it must not wait for a writer.
  const Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  if (file.fd < 0) return failure(path, "cannot be opened");
  struct stat info;
  if (fstat(file.fd, &info) != 0) return failure(path, "cannot be examined");
  if (!S_ISREG(info.st_mode)) return Status::error(ErrorCode::kModelInvalid, path + ": expected a file");
  const auto bytes = static_cast<size_t>(info.st_size);
  if (bytes != expectedBytes) {
    return Status::error(ErrorCode::kModelInvalid, path + ": its size changed while it was being opened: expected " +
                                                       std::to_string(expectedBytes) + " bytes, got " +
                                                       std::to_string(bytes) + ". Is it still being written?");
  }
  if (bytes == 0) {
    out.reset(new MappedFile(nullptr, 0));
    return {};
  }
  if (map) {
    void* data = mmap(nullptr, bytes, PROT_READ, MAP_SHARED, file.fd, 0);
    if (data == MAP_FAILED && errno == ENOMEM) return refused(path, "mapping", bytes, "address space");
    if (data == MAP_FAILED) return failure(path, "cannot be mapped, but perhaps be read into memory");
    out.reset(new MappedFile(data, bytes));
    return {};
  }
  void* data = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (data == MAP_FAILED) return refused(path, "reading", bytes, "memory");
  std::shared_ptr<MappedFile> whole(new MappedFile(data, bytes));
  size_t done = 0;
  while (done < bytes) {
    const ssize_t got = pread(file.fd, static_cast<char*>(data) + done, bytes - done, static_cast<off_t>(done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return failure(path, "cannot be read");
    if (got == 0) return Status::error(ErrorCode::kModelInvalid, path + ": ended early while it was being read");
    done += static_cast<size_t>(got);
  }
  out = std::move(whole);
  return {};
}

Status MappedFile::view(size_t offset, size_t bytes, size_t alignment, std::shared_ptr<Buffer>& out) const {
  if (offset > bytes_ || bytes > bytes_ - offset) {
    return Status::error(ErrorCode::kInternal, "view of " + std::to_string(bytes) + " bytes at " +
                                                   std::to_string(offset) + " leaves the file of " +
                                                   std::to_string(bytes_));
  }
  const std::byte* start = static_cast<const std::byte*>(data_) + offset;
  if (reinterpret_cast<uintptr_t>(start) % alignment == 0) {
    out = Buffer::view(start, bytes, shared_from_this());
    return {};
  }
  // The safetensors format promises no alignment of a tensor, the kernels want that of its element.
  std::shared_ptr<Buffer> copy;
  if (Status status = Buffer::allocate(bytes, 0, copy); !status.ok()) return status;
  std::copy_n(start, bytes, copy->data());
  out = Buffer::view(copy->data(), bytes, copy);
  return {};
}

}  // namespace quipu
