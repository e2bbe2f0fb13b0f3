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
        const float t3 = b1[(p0 * v0 + v1)];
        a0[j2] = (t3 > a0[j2] || t3 != t3) ? t3 : a0[j2];
      }
    }
    for (int j2 = 0; i1 < p0; ++i1, ++j2) {
      const int64_t v1 = i1;
      const float t4 = b1[(p0 * v0 + v1)];
      a0[j2 & 31] = (t4 > a0[j2 & 31] || t4 != t4) ? t4 : a0[j2 & 31];
    }
    for (int w = 16; w; w >>= 1) for (int j = 0; j < w; ++j) { a0[j] = (a0[j + w] > a0[j] || a0[j + w] != a0[j + w]) ? a0[j + w] : a0[j]; }
    const float t5 = a0[0];
    b0[v0] = t5;
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
    for (; i1 + 32 <= p0; i1 += 32) {
      #pragma GCC ivdep
      for (int j2 = 0; j2 < 32; ++j2) {
        const int64_t v1 = i1 + j2;
        const float t3 = b1[(p0 * v0 + v1)];
        a0[j2] = a0[j2] + (double)(t3);
      }
    }
    for (int j2 = 0; i1 < p0; ++i1, ++j2) {
      const int64_t v1 = i1;
      const float t4 = b1[(p0 * v0 + v1)];
      a0[j2 & 31] = a0[j2 & 31] + (double)(t4);
    }
    for (int w = 16; w; w >>= 1) for (int j = 0; j < w; ++j) { a0[j] = a0[j] + a0[j + w]; }
    const float t5 = (float)(a0[0]);
    b0[v0] = t5;
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
