// ropeAngles: cosine and sine of position · frequency, times a scale, once a step for all layers and heads. In f64 by
// our own reduction and polynomials, so that no bit depends on the C library: some 30 flops an angle, bound by
// arithmetic. A task is a row.

// sin and cos on [−π/4, π/4]: the minimax polynomials of FreeBSD's k_sin.c and k_cos.c (their coefficients are facts of
// approximation; error < 2⁻⁵⁸), after reduction by multiples of π/2 in two parts with fma. For |x| ≤ 2²⁴ the reduced
// argument is exact to 2⁻⁵³.
static void cosineAndSine(double x, double* cosine, double* sine) {
  const double n = __builtin_rint(x * 0x1.45f306dc9c883p-1);
  double r = __builtin_fma(-n, 0x1.921fb54442d18p+0, x);
  r = __builtin_fma(-n, 0x1.1a62633145c07p-54, r);
  const double z = r * r;
  double s = 1.58969099521155010221e-10;
  s = __builtin_fma(s, z, -2.50507602534068634195e-08);
  s = __builtin_fma(s, z, 2.75573137070700676789e-06);
  s = __builtin_fma(s, z, -1.98412698298579493134e-04);
  s = __builtin_fma(s, z, 8.33333333332248946124e-03);
  s = __builtin_fma(s, z, -1.66666666666666324348e-01);
  s = __builtin_fma(s * z, r, r);
  double c = -1.13596475577881948265e-11;
  c = __builtin_fma(c, z, 2.08757232129817482790e-09);
  c = __builtin_fma(c, z, -2.75573143513906633035e-07);
  c = __builtin_fma(c, z, 2.48015872894767294178e-05);
  c = __builtin_fma(c, z, -1.38888888888741095749e-03);
  c = __builtin_fma(c, z, 4.16666666666666019037e-02);
  c = __builtin_fma(c, z, -0.5);
  c = __builtin_fma(c, z, 1.0);
  switch (int64_t(n) & 3) {
    case 0:
      *cosine = c, *sine = s;
      return;
    case 1:
      *cosine = -s, *sine = c;
      return;
    case 2:
      *cosine = -c, *sine = -s;
      return;
    default:
      *cosine = s, *sine = -c;
  }
}

static size_t ropeAnglesTasks(const OpCall& call, uint32_t) { return call[rope_angles::kOut].dims[0]; }

static void ropeAngles(const OpCall& call, Worker& worker) {
  const View& out = call[rope_angles::kOut];
  const size_t half = out.dims[1];
  const float* frequencies = call[rope_angles::kInverseFrequencies].as<float>();
  const float scale = call.floatAttribute(rope_angles::kScale);
  for (size_t row; worker.next(row);) {
    const int32_t position = call[rope_angles::kPositions].as<int32_t>()[row];
    const float at = float(position < 0 ? 0 : position);  // padding rows turn nothing
    float* angles = out.as<float>() + row * half * 2;
    for (size_t j = 0; j < half; ++j) {
      const float angle = at * frequencies[j];
      double cosine, sine;
      cosineAndSine(angle, &cosine, &sine);
      angles[2 * j] = float(cosine) * scale;
      angles[2 * j + 1] = float(sine) * scale;
    }
  }
}
