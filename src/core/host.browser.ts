import type { Host } from "./host.ts";

export const host: Host = {
  warn: (text) => console.warn(`manabi: ${text}`),
  // A message, not a timer: browsers make nested timers wait for 4 ms, and for a second in a hidden page.
  turn: () =>
    new Promise((resolve) => {
      const { port1, port2 } = new MessageChannel();
      port1.onmessage = () => {
        port1.close();
        resolve();
      };
      port2.postMessage(null);
    }),
  processors: navigator.hardwareConcurrency,
};
