// Entry of quipu.node: defines the classes and functions of one environment.
#include <napi.h>

#include "binding/classes.h"
#include "binding/errors.h"
#include "binding/file_lock.h"
#include "binding/machine.h"
#include "binding/tokenizer.h"
#include "binding/trainer.h"
#include "binding/workspace.h"

namespace {

Napi::Object initialize(Napi::Env env, Napi::Object exports) {
  using namespace quipu::binding;
  auto* classes = new Classes();
  defineDevice(env, exports, *classes);
  define(exports, classes->vocabulary, "Vocabulary", VocabularyWrap::define(env));
  define(exports, classes->tokenizer, "Tokenizer", TokenizerWrap::define(env));
  define(exports, classes->encodeStream, "EncodeStream", EncodeStreamWrap::define(env));
  define(exports, classes->trainer, "TokenizerTrainer", TrainerWrap::define(env));
  env.SetInstanceData<Classes>(classes);
  exports.Set("normalize", Napi::Function::New(env, guardedFunction<normalize>, "normalize"));
  exports.Set("openPrepared", Napi::Function::New(env, guardedFunction<openPrepared>, "openPrepared"));
  exports.Set("makePrepared", Napi::Function::New(env, guardedFunction<makePrepared>, "makePrepared"));
  exports.Set("describePrepared", Napi::Function::New(env, guardedFunction<describePrepared>, "describePrepared"));
  exports.Set("tryLock", Napi::Function::New(env, guardedFunction<tryLock>, "tryLock"));
  exports.Set("targets", Napi::Function::New(env, guardedFunction<targets>, "targets"));
  exports.Set("describeBuild", Napi::Function::New(env, guardedFunction<describeBuild>, "describeBuild"));
  exports.Set("processors", Napi::Function::New(env, guardedFunction<processors>, "processors"));
  exports.Set("measureReadBandwidth",
              Napi::Function::New(env, guardedFunction<measureReadBandwidth>, "measureReadBandwidth"));
  exports.Set("measureOperations", Napi::Function::New(env, guardedFunction<measureOperations>, "measureOperations"));
  exports.Set("workspaceOf", Napi::Function::New(env, guardedFunction<workspaceOf>, "workspaceOf"));
  return exports;
}

}  // namespace

NODE_API_MODULE(quipu, initialize)
