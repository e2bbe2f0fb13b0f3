  float *restrict const b0 = (float *)b[0];
  const float *restrict const b1 = (const float *)b[1];
  const int64_t p0 = p[0];
  for (int64_t v0 = begin; v0 < end; ++v0) {
    float a0[32];
    for (int j = 0; j < 32; ++j) a0[j] = -INFINITY;
    int64_t i1 = 0;
    for (; i1 + 32 <= p0; i1 += 32) {
      #pragma GCC ivdep
      for (int j2 = 0; j2 < 32; ++j2) {
        const int64_t v1 = i1 + j2;
        const float t4 = b1[(p0 * v0 + v1)];
        a0[j2] = (t4 > a0[j2] || t4 != t4) ? t4 : a0[j2];
      }
    }
    for (int j2 = 0; i1 < p0; ++i1, ++j2) {
      const int64_t v1 = i1;
      const float t5 = b1[(p0 * v0 + v1)];
      a0[j2 & 31] = (t5 > a0[j2 & 31] || t5 != t5) ? t5 : a0[j2 & 31];
    }
    for (int w = 16; w; w >>= 1) for (int j = 0; j < w; ++j) { a0[j] = (a0[j + w] > a0[j] || a0[j + w] != a0[j + w]) ? a0[j + w] : a0[j]; }
    const float t6 = a0[0];
    b0[v0] = t6;
  }

  float *const b0 = (float *)b[0];
  const float *const b1 = (const float *)b[1];
  const float *restrict const b2 = (const float *)b[2];
  const int64_t p0 = p[0];
  for (int64_t q = begin; q < end; ++q) {
    const int64_t v0 = q;
    #pragma GCC ivdep
    for (int64_t v1 = 0; v1 < p0; ++v1) {
      const float t0 = b1[(p0 * v0 + v1)];
      const float t1 = b2[v0];
      const float t2 = (t0 - t1);
      const float t3 = mnb_exp_f32(t2);
      b0[(p0 * v0 + v1)] = t3;
    }
  }

  float *restrict const b0 = (float *)b[0];
  const float *restrict const b1 = (const float *)b[1];
  const int64_t p0 = p[0];
  for (int64_t v0 = begin; v0 < end; ++v0) {
    double a0[32];
    for (int j = 0; j < 32; ++j) a0[j] = 0;
    int64_t i1 = 0;
    while (i1 + 32 <= p0) {
      const int64_t e4 = i1 + 256 < p0 ? i1 + 256 : p0;
      float f3[32] = {0};
      for (; i1 + 32 <= e4; i1 += 32) {
        #pragma GCC ivdep
        for (int j2 = 0; j2 < 32; ++j2) {
          const int64_t v1 = i1 + j2;
          const float t5 = b1[(p0 * v0 + v1)];
          f3[j2] = f3[j2] + t5;
        }
      }
      for (int j = 0; j < 32; ++j) a0[j] += f3[j];
    }
    for (int j2 = 0; i1 < p0; ++i1, ++j2) {
      const int64_t v1 = i1;
      const float t6 = b1[(p0 * v0 + v1)];
      a0[j2 & 31] = a0[j2 & 31] + (double)(t6);
    }
    for (int w = 16; w; w >>= 1) for (int j = 0; j < w; ++j) { a0[j] = a0[j] + a0[j + w]; }
    const float t7 = (float)(a0[0]);
    b0[v0] = t7;
  }

  float *const b0 = (float *)b[0];
  const float *const b1 = (const float *)b[1];
  const float *restrict const b2 = (const float *)b[2];
  const int64_t p0 = p[0];
  for (int64_t q = begin; q < end; ++q) {
    const int64_t v0 = q;
    #pragma GCC ivdep
    for (int64_t v1 = 0; v1 < p0; ++v1) {
      const float t0 = b1[(p0 * v0 + v1)];
      const float t1 = b2[v0];
      const float t2 = (t0 / t1);
      b0[(p0 * v0 + v1)] = t2;
    }
  }
