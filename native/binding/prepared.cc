// Prepared files (core/prepared_file.h) as JavaScript makes and reads them.
#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "binding/arguments.h"
#include "binding/classes.h"
#include "binding/errors.h"
#include "binding/promise_worker.h"

namespace quipu::binding {

namespace {

using Bytes = std::span<const uint8_t>;
using Version = Whole<0, UINT32_MAX>;

const char* nameOf(PreparedFile::Finding finding) {
  switch (finding) {
    case PreparedFile::Finding::kAbsent:
      return "absent";
    case PreparedFile::Finding::kOther:
      return "other";
    default:
      return "damaged";
  }
}

Preparation preparationOf(const Arguments& arguments, const std::string& kind, size_t version, Bytes source) {
  Preparation is{kind, static_cast<uint32_t>(version), {}};
  if (kind.size() > 16) arguments.wrong(1, "at most 16 bytes");
  if (source.size() != sizeof is.source) arguments.wrong(3, "32 bytes");
  memcpy(is.source.data(), source.data(), sizeof is.source);
  return is;
}

}  // namespace

// Looks at all of a file, on threads of its own.
class PreparedWrap::Worker final : public PromiseWorker {
 public:
  Worker(Napi::Env env, std::shared_ptr<PreparedFile> file, bool making, size_t threads)
      : PromiseWorker(env, "quipu prepared file"),
        file_(std::move(file)),
        making_(making),
        threads_(static_cast<uint32_t>(threads)) {}

 protected:
  Status work() override {
    if (making_) {
      problem_ = file_->finish(threads_);
    } else {
      whole_ = file_->verify(threads_);
    }
    return {};
  }
  Napi::Value result(Napi::Env env) override {
    if (making_) return Napi::String::New(env, problem_);
    return Napi::Boolean::New(env, whole_);
  }

 private:
  const std::shared_ptr<PreparedFile> file_;
  const bool making_;
  const uint32_t threads_;
  bool whole_ = false;
  std::string problem_;
};

Napi::Function PreparedWrap::define(Napi::Env env) {
  return DefineClass(env, "PreparedFile",
                     {method<&PreparedWrap::bytes>("bytes"), method<&PreparedWrap::sizes>("sizes"),
                      method<&PreparedWrap::verify>("verify"), method<&PreparedWrap::finish>("finish"),
                      method<&PreparedWrap::dispose>("dispose")});
}

PreparedWrap::PreparedWrap(const Napi::CallbackInfo& info) : Wrapped<PreparedWrap>(info) {
  if (!info[0].IsExternal()) {
    throw toError(info.Env(),
                  Status::error(ErrorCode::kInternal, "native call: openPrepared and makePrepared make these"));
  }
  info.This().As<Napi::Object>().TypeTag(&kTag);
  file_ = std::move(*info[0].As<Napi::External<std::shared_ptr<PreparedFile>>>().Data());
}

const std::shared_ptr<PreparedFile>& PreparedWrap::get(Napi::Env env) const {
  if (file_ == nullptr) throw toError(env, Status::error(ErrorCode::kDisposed, "the file is closed"));
  return file_;
}

// bytes() → of the file
Napi::Value PreparedWrap::bytes(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), static_cast<double>(get(info.Env())->file()->bytes()));
}

// sizes() → of its sections
Napi::Value PreparedWrap::sizes(const Napi::CallbackInfo& info) {
  const PreparedFile& file = *get(info.Env());
  auto sizes = Napi::Array::New(info.Env(), file.sections());
  for (uint32_t i = 0; i < file.sections(); ++i) sizes.Set(i, static_cast<double>(file.section(i).size()));
  return sizes;
}

// verify(threads) → Promise of whether all of it is what was written
Napi::Value PreparedWrap::verify(const Napi::CallbackInfo& info) {
  const auto [threads] = Arguments(info, "verify(threads)").read<Threads>();
  return (new Worker(info.Env(), get(info.Env()), false, threads))->start();
}

// finish(threads) → Promise of what keeps it from its place; "" where nothing does
Napi::Value PreparedWrap::finish(const Napi::CallbackInfo& info) {
  const auto [threads] = Arguments(info, "finish(threads)").read<Threads>();
  if (!get(info.Env())->file()->writable()) {
    throw toError(info.Env(), Status::error(ErrorCode::kInternal, "native call finish(threads): it is not being made"));
  }
  return (new Worker(info.Env(), file_, true, threads))->start();
}

void PreparedWrap::dispose(const Napi::CallbackInfo&) { file_.reset(); }

// openPrepared(path, kind, version, source) → PreparedFile, or why there is none: "absent", "other", "damaged"
Napi::Value openPrepared(const Napi::CallbackInfo& info) {
  const Arguments arguments(info, "openPrepared(path, kind, version, source)");
  const auto [path, kind, version, source] = arguments.read<std::string, std::string, Version, Bytes>();
  std::shared_ptr<PreparedFile> file;
  const auto finding = PreparedFile::open(path, preparationOf(arguments, kind, version, source), file);
  if (file == nullptr) return Napi::String::New(info.Env(), nameOf(finding));
  return PreparedWrap::make(info.Env().GetInstanceData<Classes>()->prepared, std::move(file));
}

// makePrepared(path, kind, version, source, description, sizes) → PreparedFile, or what keeps it from being made. Its
// sections are the description and those of `sizes`.
Napi::Value makePrepared(const Napi::CallbackInfo& info) {
  const Arguments arguments(info, "makePrepared(path, kind, version, source, description, sizes)");
  const auto [path, kind, version, source, description, sizes] =
      arguments.read<std::string, std::string, Version, Bytes, std::string, std::span<const double>>();
  std::vector<uint64_t> bytes{description.size()};
  for (const double size : sizes) {
    if (!(size >= 0 && size <= 0x1p53)) arguments.wrong(5, "sizes");
    bytes.push_back(static_cast<uint64_t>(size));
  }
  std::string problem;
  auto file = PreparedFile::make(path, preparationOf(arguments, kind, version, source), bytes, problem);
  if (file == nullptr) return Napi::String::New(info.Env(), problem);
  std::copy(description.begin(), description.end(), file->room(0).begin());
  return PreparedWrap::make(info.Env().GetInstanceData<Classes>()->prepared, std::move(file));
}

// describePrepared(path, most) → [kind, version, description], or null
Napi::Value describePrepared(const Napi::CallbackInfo& info) {
  const auto [path, most] = Arguments(info, "describePrepared(path, most)").read<std::string, Size>();
  Preparation is;
  std::string description;
  if (!PreparedFile::describe(path, most, is, description)) return info.Env().Null();
  auto result = Napi::Array::New(info.Env(), 3);
  result.Set(0u, is.kind);
  result.Set(1u, is.version);
  result.Set(2u, description);
  return result;
}

}  // namespace quipu::binding
