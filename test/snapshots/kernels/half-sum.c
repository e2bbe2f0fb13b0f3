  uint16_t *restrict const b0 = (uint16_t *)b[0];
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
        const float t4 = b1[(p0 * v0 + v1)];
        const float t5 = t4;
        const float t6 = mnb_round_f16(t5);
        const float t7 = (t6 * t6);
        const float t8 = mnb_round_f16(t7);
        a0[j2] = a0[j2] + (double)(t8);
      }
    }
    for (int j2 = 0; i1 < p0; ++i1, ++j2) {
      const int64_t v1 = i1;
      const float t9 = b1[(p0 * v0 + v1)];
      const float t10 = t9;
      const float t11 = mnb_round_f16(t10);
      const float t12 = (t11 * t11);
      const float t13 = mnb_round_f16(t12);
      a0[j2 & 31] = a0[j2 & 31] + (double)(t13);
    }
    for (int w = 16; w; w >>= 1) for (int j = 0; j < w; ++j) { a0[j] = a0[j] + a0[j + w]; }
    const float t14 = (float)(a0[0]);
    const float t15 = mnb_round_f16(t14);
    b0[v0] = mnb_to_f16(t14);
  }
