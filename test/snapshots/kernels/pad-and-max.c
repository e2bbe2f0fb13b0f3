  float *restrict const b0 = (float *)b[0];
  const float *restrict const b1 = (const float *)b[1];
  const int64_t p0 = p[0];
  const int64_t p1 = p[1];
  float a0[32];
  for (int j = 0; j < 32; ++j) a0[j] = -INFINITY;
  int64_t i1 = 0;
  for (; i1 + 32 <= p0; i1 += 32) {
    #pragma GCC ivdep
    for (int j2 = 0; j2 < 32; ++j2) {
      const int64_t v0 = i1 + j2;
      float t4 = 0.0f;
      if ((v0 + -1) >= 0 && (v0 + -1) < p1) {
        const float t5 = b1[(v0 + -1)];
        t4 = t5;
      }
      a0[j2] = (t4 > a0[j2] || t4 != t4) ? t4 : a0[j2];
    }
  }
  for (int j2 = 0; i1 < p0; ++i1, ++j2) {
    const int64_t v0 = i1;
    float t6 = 0.0f;
    if ((v0 + -1) >= 0 && (v0 + -1) < p1) {
      const float t7 = b1[(v0 + -1)];
      t6 = t7;
    }
    a0[j2 & 31] = (t6 > a0[j2 & 31] || t6 != t6) ? t6 : a0[j2 & 31];
  }
  for (int w = 16; w; w >>= 1) for (int j = 0; j < w; ++j) { a0[j] = (a0[j + w] > a0[j] || a0[j + w] != a0[j + w]) ? a0[j + w] : a0[j]; }
  const float t8 = a0[0];
  b0[0] = t8;
