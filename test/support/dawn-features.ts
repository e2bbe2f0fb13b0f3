/**
 * Toggles of Dawn for tests, in Node as in Chromium. Shaders write what workgroups share before they read it, so that need not
 * be zeroed first, which takes SwiftShader most of the time that it compiles a shader. The other one offers what is an
 * experiment: subgroup matrices, where an adapter has such.
 */
export const dawnFeatures = "disable_workgroup_init,allow_unsafe_apis";
