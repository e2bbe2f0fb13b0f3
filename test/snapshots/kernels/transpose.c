  float *restrict const b0 = (float *)b[0];
  const float *restrict const b1 = (const float *)b[1];
  const int64_t p0 = p[0];
  const int64_t p1 = p[1];
  for (int64_t q = begin; q < end; ++q) {
    const int64_t v0 = q;
    #pragma GCC ivdep
    for (int64_t v1 = 0; v1 < p0; ++v1) {
      const float t0 = b1[(v0 + p1 * v1)];
      const float t1 = (-t0);
      b0[(p0 * v0 + v1)] = t1;
    }
  }
