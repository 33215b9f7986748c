// Every kernel, and the table that a target is made of. Included after simd/<isa>.h in the target's namespace; the
// kernels/<op>.h include nothing themselves, so a file that another one builds on comes first.
#include "cpu/kernels/activation_codes.h"
#include "cpu/kernels/cache_places.h"
#include "cpu/kernels/elements.h"
#include "cpu/kernels/exp.h"
#include "cpu/kernels/shares.h"
// clang-format keeps the order
#include "cpu/kernels/cache_codes.h"
//
#include "cpu/kernels/attention_across.h"
#include "cpu/kernels/attention_page.h"
// as above
#include "cpu/kernels/attention_backward_tile.h"
#include "cpu/kernels/matmul_dot.h"
#include "cpu/kernels/matmul_panel.h"
#include "cpu/kernels/matmul_tile.h"
#include "cpu/kernels/philox.h"
#include "cpu/kernels/q8.h"
#include "cpu/kernels/rotation.h"
// as above
#include "cpu/kernels/q4.h"
#include "cpu/kernels/q6.h"
// as above
#include "cpu/kernels/packed.h"
#include "cpu/kernels/quantize_span.h"
#include "cpu/kernels/weights.h"
// as above
#include "cpu/kernels/matmul_q4.h"
#include "cpu/kernels/matmul_q8.h"
#include "cpu/kernels/quantize_q4.h"
#include "cpu/kernels/quantize_scaled.h"
#include "cpu/kernels/ranking.h"
//
#include "cpu/kernels/add.h"
#include "cpu/kernels/matmul.h"
#include "cpu/kernels/swiglu.h"
//
#include "cpu/kernels/advance.h"
#include "cpu/kernels/append_kv.h"
#include "cpu/kernels/attention.h"
#include "cpu/kernels/attention_backward_shape.h"
#include "cpu/kernels/gather_rows.h"
#include "cpu/kernels/rms_norm.h"
#include "cpu/kernels/rope.h"
//
#include "cpu/kernels/accumulate.h"
#include "cpu/kernels/adam_w.h"
#include "cpu/kernels/attention_backward.h"
#include "cpu/kernels/clip_norm.h"
#include "cpu/kernels/combine.h"
#include "cpu/kernels/cross_entropy.h"
#include "cpu/kernels/gather_norm.h"
#include "cpu/kernels/matmul_add.h"
#include "cpu/kernels/matmul_chain.h"
// as above
#include "cpu/kernels/matmul_plain.h"
// as above
#include "cpu/kernels/matmul_over_rows.h"
#include "cpu/kernels/matmul_swiglu.h"
#include "cpu/kernels/moving_average.h"
#include "cpu/kernels/nesterov.h"
#include "cpu/kernels/norm_products.h"
#include "cpu/kernels/sum_squares.h"
//
#include "cpu/kernels/divide_by_norm.h"
#include "cpu/kernels/nor_muon.h"
#include "cpu/kernels/norm_matmul_swiglu.h"
#include "cpu/kernels/norm_qkv.h"
#include "cpu/kernels/quantize.h"
#include "cpu/kernels/resume.h"
#include "cpu/kernels/rms_norm_backward.h"
#include "cpu/kernels/roofline.h"
#include "cpu/kernels/rope_angles.h"
#include "cpu/kernels/rope_backward.h"
#include "cpu/kernels/sample.h"
#include "cpu/kernels/scatter_add_rows.h"
#include "cpu/kernels/swiglu_backward.h"
#include "cpu/kernels/token_logprobs.h"
#include "cpu/kernels/transpose.h"
//
#include "cpu/kernels/matmul_sample.h"

static constexpr Target makeTarget(const char* name) {
  Target target = {};
  const auto set = [&target](OpCode code, Kernel kernel) { target.kernels[uint32_t(code)] = kernel; };
  target.name = name;
  target.multiplyAddLoop = multiplyAddLoop;
  target.integerLoop = integerLoop;
  target.readLoop = readLoop;
  set(OpCode::kAccumulate, {{{accumulateTasks, accumulateRun}}});
  set(OpCode::kAdamW, {{{adamWTasks, adamWRun}}});
  set(OpCode::kAdd, {{{addTasks, addRun}}});
  set(OpCode::kAdvance, {{{advanceTasks, advanceRows}}});
  set(OpCode::kAppendKv, {{{appendKvTasks, appendKv}}, appendKvScratchBytes});
  set(OpCode::kAttention, {{{attentionTasks, attention}, {attentionMergeTasks, attentionMerge}},
                           attentionScratchBytes,
                           attentionSharedBytes});
  set(OpCode::kAttentionBackward,
      {{{backwardBlockTasks, backwardTranspose}, {backwardQueryTasks, backwardRows}, {backwardKeyTasks, backwardKeys}},
       attentionBackwardScratchBytes,
       attentionBackwardSharedBytes});
  set(OpCode::kClipNorm, {{{oneTask, clipNormRun}}});
  set(OpCode::kCombine, {{{combineTasks, combineRun}}});
  set(OpCode::kCrossEntropy, {{{crossEntropyTasks, crossEntropyRows}}});
  set(OpCode::kDivideByNorm, {{{divideByNormTasks, divideByNormSquares}, {divideByNormTasks, divideByNormRun}},
                              nullptr,
                              divideByNormSharedBytes});
  set(OpCode::kGatherNorm, {{{gatherNormTasks, gatherNorm}}});
  set(OpCode::kGatherRows, {{{gatherTasks, gatherRows}}});
  set(OpCode::kMatmul,
      {{{productPackTasks, productPack}, {productTasks, matmulRun}}, productScratchBytes, productSharedBytes});
  set(OpCode::kMatmulAdd,
      {{{productPackTasks, productPack}, {productTasks, matmulAddRun}}, productScratchBytes, productSharedBytes});
  set(OpCode::kMatmulOverRows,
      {{{overRowsPackTasks, overRowsPack}, {overRowsTasks, overRowsRun}}, chainScratchBytes, overRowsSharedBytes});
  set(OpCode::kMatmulPlain,
      {{{plainPackTasks, plainPack}, {plainTasks, plainRun}}, chainScratchBytes, plainSharedBytes});
  set(OpCode::kMatmulSample,
      {{{productPackTasks, productPack}, {productTasks, headRun}, {matmulSampleTasks, matmulSampleRows}},
       matmulSampleScratchBytes,
       matmulSampleSharedBytes});
  set(OpCode::kMatmulSwiglu, {{{productPackTasks, productPack}, {productTasks, matmulSwigluRun}},
                              matmulSwigluScratchBytes,
                              productSharedBytes});
  set(OpCode::kMovingAverage, {{{movingAverageTasks, movingAverageRun}}});
  set(OpCode::kNesterov, {{{nesterovTasks, nesterovRun}}});
  set(OpCode::kNorMuon,
      {{{norMuonTasks, norMuonSquares}, {norMuonFactorTasks, norMuonFactors}, {norMuonTasks, norMuonStep}},
       nullptr,
       norMuonSharedBytes});
  set(OpCode::kNormMatmulSwiglu,
      {{{swigluNormTasks, swigluNorm}, {swigluPanelTasks, swigluPanels}, {normMatmulSwigluTasks, normMatmulSwigluRun}},
       normMatmulSwigluScratchBytes,
       normMatmulSwigluSharedBytes});
  set(OpCode::kNormQkv,
      {{{qkvNormTasks, qkvNorm}, {qkvPanelTasks, qkvPanels}, {qkvTasks, qkvRun}, {qkvStoreTasks, qkvStore}},
       normQkvScratchBytes,
       normQkvSharedBytes});
  set(OpCode::kQuantize, {{{quantizeTasks, quantizeRows}}});
  set(OpCode::kResume, {{{resumeTasks, resumeRows}}});
  set(OpCode::kRmsNorm, {{{rmsNormTasks, rmsNorm}}});
  set(OpCode::kRmsNormBackward,
      {{{normBackwardTasks, normBackwardRows}, {normWeightTasks, normWeightRun}}, nullptr, normBackwardSharedBytes});
  set(OpCode::kRope, {{{ropeTasks, rope}}, ropeScratchBytes});
  set(OpCode::kRopeAngles, {{{ropeAnglesTasks, ropeAngles}}});
  set(OpCode::kRopeBackward, {{{ropeBackwardTasks, ropeBackward}}, ropeBackwardScratchBytes});
  set(OpCode::kSample, {{{sampleTasks, sampleRows}}, sampleScratchBytes});
  set(OpCode::kScatterAddRows, {{{scatterAddTasks, scatterAddRun}}});
  set(OpCode::kSumSquares,
      {{{sumSquaresTasks, sumSquaresRun}, {oneTask, sumSquaresTotal}}, nullptr, sumSquaresSharedBytes});
  set(OpCode::kSwiglu, {{{swigluTasks, swigluRun}}});
  set(OpCode::kSwigluBackward, {{{swigluBackwardTasks, swigluBackwardRun}}});
  set(OpCode::kTokenLogprobs, {{{tokenLogprobsTasks, tokenLogprobsRows}}});
  set(OpCode::kTranspose, {{{transposeTasks, transposeRun}}});
  return target;
}

static constexpr bool hasEveryKernel() {
  for (const Kernel& kernel : makeTarget("").kernels) {
    if (kernel.phases[0].tasks == nullptr || kernel.phases[0].run == nullptr) return false;
  }
  return true;
}
static_assert(hasEveryKernel(), "an op of the table has no kernel");
