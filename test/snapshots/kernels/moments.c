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
      while (i2 + 32 <= p1) {
        const int64_t e6 = i2 + 256 < p1 ? i2 + 256 : p1;
        float f4[32] = {0};
        float f5[32] = {0};
        for (; i2 + 32 <= e6; i2 += 32) {
          #pragma GCC ivdep
          for (int j3 = 0; j3 < 32; ++j3) {
            const int64_t v2 = i2 + j3;
            const float t7 = b1[(p1 * v0 + p2 * v1 + v2)];
            f4[j3] = f4[j3] + t7;
            const float t8 = (t7 * t7);
            f5[j3] = f5[j3] + t8;
          }
        }
        for (int j = 0; j < 32; ++j) a0[j] += f4[j];
        for (int j = 0; j < 32; ++j) a1[j] += f5[j];
      }
      for (int j3 = 0; i2 < p1; ++i2, ++j3) {
        const int64_t v2 = i2;
        const float t9 = b1[(p1 * v0 + p2 * v1 + v2)];
        a0[j3 & 31] = a0[j3 & 31] + (double)(t9);
        const float t10 = (t9 * t9);
        a1[j3 & 31] = a1[j3 & 31] + (double)(t10);
      }
    }
    for (int w = 16; w; w >>= 1) for (int j = 0; j < w; ++j) { a0[j] = a0[j] + a0[j + w]; }
    const float t11 = (float)(a0[0]);
    for (int w = 16; w; w >>= 1) for (int j = 0; j < w; ++j) { a1[j] = a1[j] + a1[j + w]; }
    const float t12 = (float)(a1[0]);
    b0[v0] = t11;
    b2[v0] = t12;
  }
