import { type BackendProvider, once, Unavailable } from "../provider.ts";
import { nativeBackend, nativeDTypes } from "./index.ts";
import { setTarget } from "./toolchain.ts";

const cure =
  "install one (Debian, Ubuntu: apt install gcc; Fedora: dnf install gcc; macOS: xcode-select --install) for native speed";

const { open, forget } = once(() => {
  if (process.platform === "win32")
    throw new Unavailable("the native backend does not run on Windows", "use WSL for native speed");
  const backend = nativeBackend();
  if (!backend) throw new Unavailable("no C compiler found (cc, gcc, clang)", cure);
  const { runtime, toolchain, hasBf16 } = backend;
  return {
    backend,
    detail: () =>
      `${toolchain.version}; ${runtime.threads} threads; medium precision is ${hasBf16 ? "bf16" : "f32 (no bf16 products)"}`,
    multipliesBf16: hasBf16,
    threads: {
      get count() {
        return runtime.threads;
      },
      set: runtime.setThreads,
    },
  };
});

export const nativeProvider: BackendProvider = {
  name: "native",
  dtypes: nativeDTypes,
  expected: true,
  open,
  setProcessor(name, symbols) {
    setTarget(name, symbols);
    forget();
  },
};
