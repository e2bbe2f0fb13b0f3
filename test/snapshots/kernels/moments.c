  float *restrict const b0 = (float *)b[0];
  const float *restrict const b1 = (const float *)b[1];
  float *restrict const b2 = (float *)b[2];
  const int64_t p0 = p[0];
  const int64_t p1 = p[1];
  const int64_t p2 = p[2];
  for (int64_t v0 = begin; v0 < end; ++v0) {
    double a0[32];
    for (int j = 0; j < 32; ++j) a0[j] = 0;
    double a1[32];
    for (int j = 0; j < 32; ++j) a1[j] = 0;
    for (int64_t v1 = 0; v1 < p0; ++v1) {
      int64_t i2 = 0;
      for (; i2 + 32 <= p1; i2 += 32) {
        #pragma GCC ivdep
        for (int j3 = 0; j3 < 32; ++j3) {
          const int64_t v2 = i2 + j3;
          const float t4 = b1[(p1 * v0 + p2 * v1 + v2)];
          a0[j3] = a0[j3] + (double)(t4);
          const float t5 = (t4 * t4);
          a1[j3] = a1[j3] + (double)(t5);
        }
      }
      for (int j3 = 0; i2 < p1; ++i2, ++j3) {
        const int64_t v2 = i2;
        const float t6 = b1[(p1 * v0 + p2 * v1 + v2)];
        a0[j3 & 31] = a0[j3 & 31] + (double)(t6);
        const float t7 = (t6 * t6);
        a1[j3 & 31] = a1[j3 & 31] + (double)(t7);
      }
    }
    for (int w = 16; w; w >>= 1) for (int j = 0; j < w; ++j) { a0[j] = a0[j] + a0[j + w]; }
    const float t8 = (float)(a0[0]);
    for (int w = 16; w; w >>= 1) for (int j = 0; j < w; ++j) { a1[j] = a1[j] + a1[j + w]; }
    const float t9 = (float)(a1[0]);
    b0[v0] = t8;
    b2[v0] = t9;
  }
