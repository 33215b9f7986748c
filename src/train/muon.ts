// Muon (Jordan, 2024, kellerjordan.github.io/posts/muon) with the row variance of NorMuon (arXiv:2510.05491) as ops of a recording: the
// momentum of a matrix, as near to an orthogonal matrix as five steps of Newton and Schulz bring it, is its update.
import type { Tensor } from "../device/tensor.js";
import type { Input, Recorder } from "../graph/recorder.js";
import type { Value } from "../graph/recording.js";

/** What a matrix [N, K] learns by. */
export interface MuonState {
  readonly parameter: Tensor;
  readonly gradient: Tensor;
  readonly momentum: Tensor;
  /** [N] */
  readonly variance: Tensor;
}

const MOMENTUM = 0.95;
/** Beside the norm of an update, which may be 0. */
const EPSILON = 1e-7;
/** Of the polynomial that takes all singular values of (0, 1] near to 1: Jordan's. */
const [A, B, C] = [3.4445, -4.775, 2.0315];
const STEPS = 5;

/** Records a step of one matrix. @param factor of its gradient, [1]; 0: none is made. @param settings MUON_SETTINGS. */
export function recordMuon(
  r: Recorder,
  { parameter, gradient, momentum, variance }: MuonState,
  factor: Input,
  settings: Tensor,
): void {
  const { out } = r.nesterov({ gradient, momentum, factor }, MOMENTUM);
  r.norMuon({ parameter, update: recordOrthogonal(r, out), variance, factor, settings });
}

/**
 * u vᵀ of an x [N, K] = u s vᵀ, about: singular values between 0.7 and 1.2. With a = x xᵀ each step makes (A + B a + C a²) x of x; as a has the
 * shorter side of x, a tall one is turned before and after.
 */
export function recordOrthogonal(r: Recorder, x: Value): Value {
  const [rows, columns] = x.shape as [number, number];
  const isTall = rows > columns;
  let y = r.divideByNorm(isTall ? r.transpose(x) : x, EPSILON);
  for (let step = 0; step < STEPS; step++) {
    const a = r.matmul(y, y);
    const b = r.combine(B, a, C, r.matmul(a, a)); // a is symmetric: a · aᵀ is a²
    y = r.combine(A, y, 1, r.matmulPlain(b, y));
  }
  return isTall ? r.transpose(y) : y;
}
