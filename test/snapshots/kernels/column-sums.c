  float *restrict const b0 = (float *)b[0];
  const float *restrict const b1 = (const float *)b[1];
  const int64_t p0 = p[0];
  const int64_t p1 = p[1];
  const int64_t p2 = p[2];
  for (int64_t q = begin; q < end; ++q) {
    const int64_t s0 = (q % p1) * 64;
    const int64_t row = q / p1;
    const int width = (int)(p0 - s0 < 64 ? p0 - s0 : 64);
    double a0[64];
    for (int j = 0; j < width; ++j) { a0[j] = 0; }
    for (int64_t v0 = 0; v0 < p2; ++v0) {
      #pragma GCC ivdep
      for (int j = 0; j < width; ++j) {
        const int64_t v1 = s0 + j;
        const float t1 = b1[(p0 * v0 + v1)];
        const float t2 = (t1 * t1);
        a0[j] = a0[j] + (double)(t2);
      }
    }
    #pragma GCC ivdep
    for (int j = 0; j < width; ++j) {
      const int64_t v1 = s0 + j;
      b0[v1] = (float)(a0[j]);
    }
  }
