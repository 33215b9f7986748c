// Entry of quipu.node: defines the classes and functions of one environment.
#include <napi.h>

#include "binding/classes.h"
#include "binding/device.h"
#include "binding/errors.h"
#include "binding/machine.h"
#include "binding/tokenizer.h"
#include "binding/trainer.h"

namespace {

Napi::Object initialize(Napi::Env env, Napi::Object exports) {
  using namespace quipu::binding;
  auto* classes = new Classes();
  const auto define = [&](Napi::FunctionReference& reference, const char* name, Napi::Function constructor) {
    reference = Napi::Persistent(constructor);
    exports.Set(name, constructor);
  };
  define(classes->buffer, "Buffer", BufferWrap::define(env));
  define(classes->file, "MappedFile", FileWrap::define(env));
  define(classes->program, "Program", ProgramWrap::define(env));
  define(classes->cancelFlag, "CancelFlag", CancelFlagWrap::define(env));
  define(classes->device, "Device", DeviceWrap::define(env));
  define(classes->vocabulary, "Vocabulary", VocabularyWrap::define(env));
  define(classes->tokenizer, "Tokenizer", TokenizerWrap::define(env));
  define(classes->encodeStream, "EncodeStream", EncodeStreamWrap::define(env));
  define(classes->trainer, "TokenizerTrainer", TrainerWrap::define(env));
  env.SetInstanceData<Classes>(classes);
  exports.Set("targets", Napi::Function::New(env, guardedFunction<targets>, "targets"));
  exports.Set("processors", Napi::Function::New(env, guardedFunction<processors>, "processors"));
  exports.Set("measureRoofs", Napi::Function::New(env, guardedFunction<measureRoofs>, "measureRoofs"));
  return exports;
}

}  // namespace

NODE_API_MODULE(quipu, initialize)
