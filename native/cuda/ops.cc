// Which kernels an op has.
#include "cuda/kernels/kernels.h"

namespace quipu::cuda {

const OpKernels* kernelsOf(OpCode code) {
  static constexpr OpKernels kGatherRows = {nullptr, gatherRows}, kRmsNorm = {nullptr, rmsNorm},
                             kMatmul = {matmulWorkspace, matmul}, kAdd = {nullptr, add},
                             kRopeAngles = {nullptr, ropeAngles}, kRope = {nullptr, rope},
                             kAppendKv = {nullptr, appendKv}, kAttention = {attentionWorkspace, attention},
                             kSwiglu = {nullptr, swiglu}, kSample = {sampleWorkspace, sample},
                             kAdvance = {nullptr, advance}, kResume = {nullptr, resume},
                             kMatmulAdd = {matmulAddWorkspace, matmulAdd},
                             kMatmulSwiglu = {matmulSwigluWorkspace, matmulSwiglu},
                             kNormMatmulSwiglu = {normMatmulSwigluWorkspace, normMatmulSwiglu},
                             kNormQkv = {normQkvWorkspace, normQkv}, kGatherNorm = {nullptr, gatherNorm},
                             kMatmulSample = {matmulSampleWorkspace, matmulSample};
  switch (code) {
    case OpCode::kGatherRows:
      return &kGatherRows;
    case OpCode::kRmsNorm:
      return &kRmsNorm;
    case OpCode::kMatmul:
      return &kMatmul;
    case OpCode::kAdd:
      return &kAdd;
    case OpCode::kRopeAngles:
      return &kRopeAngles;
    case OpCode::kRope:
      return &kRope;
    case OpCode::kAppendKv:
      return &kAppendKv;
    case OpCode::kAttention:
      return &kAttention;
    case OpCode::kSwiglu:
      return &kSwiglu;
    case OpCode::kSample:
      return &kSample;
    case OpCode::kAdvance:
      return &kAdvance;
    case OpCode::kResume:
      return &kResume;
    case OpCode::kMatmulAdd:
      return &kMatmulAdd;
    case OpCode::kMatmulSwiglu:
      return &kMatmulSwiglu;
    case OpCode::kNormMatmulSwiglu:
      return &kNormMatmulSwiglu;
    case OpCode::kNormQkv:
      return &kNormQkv;
    case OpCode::kGatherNorm:
      return &kGatherNorm;
    case OpCode::kMatmulSample:
      return &kMatmulSample;
    case OpCode::kQuantize:
      return nullptr;  // the CPU packs; place() uploads the same codes
    case OpCode::kMatmulPlain:
    case OpCode::kMatmulOverRows:
    case OpCode::kAccumulate:
    case OpCode::kScatterAddRows:
    case OpCode::kRmsNormBackward:
    case OpCode::kRopeBackward:
    case OpCode::kSwigluBackward:
    case OpCode::kAttentionBackward:
    case OpCode::kCrossEntropy:
    case OpCode::kTokenLogprobs:
    case OpCode::kSumSquares:
    case OpCode::kClipNorm:
    case OpCode::kAdamW:
    case OpCode::kNesterov:
    case OpCode::kDivideByNorm:
    case OpCode::kCombine:
    case OpCode::kTranspose:
    case OpCode::kNorMuon:
    case OpCode::kMovingAverage:
      return nullptr;  // models are trained on the CPU
  }
  return nullptr;
}

}  // namespace quipu::cuda
