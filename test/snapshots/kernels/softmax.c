  const float *restrict const b0 = (const float *)b[0];
  float *restrict const b1 = (float *)b[1];
  const int64_t p0 = p[0];
  float b2[1];
  float b3[p0];
  float b4[1];
  for (int64_t q = begin; q < end; ++q) {
    const int64_t v0 = q;
    {
      float a0[32];
      for (int j = 0; j < 32; ++j) a0[j] = -INFINITY;
      int64_t i1 = 0;
      for (; i1 + 32 <= p0; i1 += 32) {
        #pragma GCC ivdep
        for (int j2 = 0; j2 < 32; ++j2) {
          const int64_t v1 = i1 + j2;
          const float t4 = b0[(p0 * v0 + v1)];
          a0[j2] = (t4 > a0[j2] || t4 != t4) ? t4 : a0[j2];
        }
      }
      for (int j2 = 0; i1 < p0; ++i1, ++j2) {
        const int64_t v1 = i1;
        const float t5 = b0[(p0 * v0 + v1)];
        a0[j2 & 31] = (t5 > a0[j2 & 31] || t5 != t5) ? t5 : a0[j2 & 31];
      }
      for (int w = 16; w; w >>= 1) for (int j = 0; j < w; ++j) { a0[j] = (a0[j + w] > a0[j] || a0[j + w] != a0[j + w]) ? a0[j + w] : a0[j]; }
      const float t6 = a0[0];
      b2[0] = t6;
    }
    #pragma GCC ivdep
    for (int64_t v2 = 0; v2 < p0; ++v2) {
      const float t7 = b0[(p0 * v0 + v2)];
      const float t8 = b2[0];
      const float t9 = (t7 - t8);
      const float t10 = mnb_exp_f32(t9);
      b3[v2] = t10;
    }
    {
      double a11[32];
      for (int j = 0; j < 32; ++j) a11[j] = 0;
      int64_t i12 = 0;
      while (i12 + 32 <= p0) {
        const int64_t e15 = i12 + 256 < p0 ? i12 + 256 : p0;
        float f14[32] = {0};
        for (; i12 + 32 <= e15; i12 += 32) {
          #pragma GCC ivdep
          for (int j13 = 0; j13 < 32; ++j13) {
            const int64_t v3 = i12 + j13;
            const float t16 = b3[v3];
            f14[j13] = f14[j13] + t16;
          }
        }
        for (int j = 0; j < 32; ++j) a11[j] += f14[j];
      }
      for (int j13 = 0; i12 < p0; ++i12, ++j13) {
        const int64_t v3 = i12;
        const float t17 = b3[v3];
        a11[j13 & 31] = a11[j13 & 31] + (double)(t17);
      }
      for (int w = 16; w; w >>= 1) for (int j = 0; j < w; ++j) { a11[j] = a11[j] + a11[j + w]; }
      const float t18 = (float)(a11[0]);
      b4[0] = t18;
    }
    #pragma GCC ivdep
    for (int64_t v4 = 0; v4 < p0; ++v4) {
      const float t19 = b3[v4];
      const float t20 = b4[0];
      const float t21 = (t19 / t20);
      b1[(p0 * v0 + v4)] = t21;
    }
  }
