// The classes that JavaScript sees. Each wraps a shared pointer to a core object, so that programs and runs keep alive
// what they use; dispose() drops the wrapper's own reference at once, the garbage collector is the backstop.
#pragma once

#include <napi.h>

#include <memory>
#include <optional>

#include "binding/errors.h"
#include "binding/external_memory.h"
#include "core/device.h"
#include "core/mapped_file.h"
#include "core/prepared_file.h"

namespace quipu::binding {

// Constructors of one environment (main thread or worker): the addon keeps no global JavaScript state.
struct Classes {
  Napi::FunctionReference buffer, file, prepared, program, cancelFlag, device, vocabulary, tokenizer, encodeStream,
      trainer;
};

// Keeps `constructor` as `reference` and exports it under its name.
void define(Napi::Object exports, Napi::FunctionReference& reference, const char* name, Napi::Function constructor);

// The classes that every module of a device has: Device, MappedFile, CancelFlag, and what a device makes.
void defineDevice(Napi::Env env, Napi::Object exports, Classes& classes);

// A class whose objects are made by native code alone, of what they hold.
template <typename T, typename Held>
class Made : public Wrapped<T> {
 public:
  static Napi::Object make(const Napi::FunctionReference& constructor, std::shared_ptr<Held> held) {
    return constructor.New({Napi::External<std::shared_ptr<Held>>::New(constructor.Env(), &held)});
  }

  // What it holds, if that is of `device`: another's memory is not addressed as this one's.
  const std::shared_ptr<Held>& get(Napi::Env env, const Device& device) const {
    if (held_ == nullptr) throw toError(env, Status::error(ErrorCode::kDisposed, "it is disposed of"));
    if (held_->device() != &device) {
      throw toError(env, Status::error(ErrorCode::kInternal, "a buffer or program of another device"));
    }
    return held_;
  }

 protected:
  explicit Made(const Napi::CallbackInfo& info) : Wrapped<T>(info) {
    if (!info[0].IsExternal()) {
      throw toError(info.Env(), Status::error(ErrorCode::kInternal, "native call: only a device makes these"));
    }
    info.This().As<Napi::Object>().TypeTag(&T::kTag);
    held_ = std::move(*info[0].As<Napi::External<std::shared_ptr<Held>>>().Data());
  }

  std::shared_ptr<Held> held_;
};

// A range of memory of a device.
class BufferWrap : public Made<BufferWrap, Memory> {
 public:
  static constexpr napi_type_tag kTag = {0x71756970755f0001, 0x6275666665720000};
  static Napi::Function define(Napi::Env env);
  explicit BufferWrap(const Napi::CallbackInfo& info);

 private:
  void dispose(const Napi::CallbackInfo& info);

  std::optional<ExternalMemory> memory_;
};

class ProgramWrap : public Made<ProgramWrap, LoadedProgram> {
 public:
  static constexpr napi_type_tag kTag = {0x71756970755f0003, 0x70726f6772616d00};
  static Napi::Function define(Napi::Env env);
  explicit ProgramWrap(const Napi::CallbackInfo& info) : Made(info) {}

 private:
  void dispose(const Napi::CallbackInfo& info);
};

class FileWrap : public Wrapped<FileWrap> {
 public:
  static constexpr napi_type_tag kTag = {0x71756970755f0002, 0x66696c6500000000};
  static Napi::Function define(Napi::Env env);
  explicit FileWrap(const Napi::CallbackInfo& info);
  ~FileWrap() override;

  // The file, which nobody is reading.
  const std::shared_ptr<MappedFile>& get(Napi::Env env) const;
  // Leaves it to a view to tell the garbage collector of so many bytes.
  void handOver(Napi::Env env, size_t bytes);

 private:
  class ReadWorker;
  Napi::Value read(const Napi::CallbackInfo& info);
  void dispose(const Napi::CallbackInfo& info);

  std::shared_ptr<MappedFile> file_;
  bool reading_ = false;
  size_t told_ = 0;  // bytes that the garbage collector knows of
};

class PreparedWrap : public Wrapped<PreparedWrap> {
 public:
  static constexpr napi_type_tag kTag = {0x71756970755f0005, 0x7072657061726564};
  static Napi::Function define(Napi::Env env);
  static Napi::Object make(const Napi::FunctionReference& constructor, std::shared_ptr<PreparedFile> file) {
    return constructor.New({Napi::External<std::shared_ptr<PreparedFile>>::New(constructor.Env(), &file)});
  }
  explicit PreparedWrap(const Napi::CallbackInfo& info);

  const std::shared_ptr<PreparedFile>& get(Napi::Env env) const;

 private:
  class Worker;
  Napi::Value bytes(const Napi::CallbackInfo& info);
  Napi::Value sizes(const Napi::CallbackInfo& info);
  Napi::Value verify(const Napi::CallbackInfo& info);
  Napi::Value finish(const Napi::CallbackInfo& info);
  void dispose(const Napi::CallbackInfo& info);

  std::shared_ptr<PreparedFile> file_;
};

Napi::Value openPrepared(const Napi::CallbackInfo& info);
Napi::Value makePrepared(const Napi::CallbackInfo& info);
Napi::Value describePrepared(const Napi::CallbackInfo& info);

class CancelFlagWrap : public Wrapped<CancelFlagWrap> {
 public:
  static constexpr napi_type_tag kTag = {0x71756970755f0004, 0x63616e63656c0000};
  static Napi::Function define(Napi::Env env);
  explicit CancelFlagWrap(const Napi::CallbackInfo& info);

  const std::shared_ptr<CancelFlag>& get() const { return flag_; }

 private:
  std::shared_ptr<CancelFlag> flag_;
};

}  // namespace quipu::binding
