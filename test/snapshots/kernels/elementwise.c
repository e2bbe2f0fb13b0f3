  float *const b0 = (float *)b[0];
  const float *const b1 = (const float *)b[1];
  #pragma GCC ivdep
  for (int64_t v0 = begin; v0 < end; ++v0) {
    const float t0 = b1[v0];
    const float t1 = (t0 * 2.0f);
    const float t2 = (t1 + 1.0f);
    const float t3 = mnb_tanh_f32(t2);
    b0[v0] = t3;
  }
