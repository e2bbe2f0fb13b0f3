/** The thread that trains and predicts, so that the page stays free. */
import type { Request } from "./messages.ts";
import { Session } from "./session.ts";

/** Resolves when this thread holds a lock of its name. Whoever gets the lock next knows that the thread has died. */
const alive = new Promise<void>((resolve) => {
  if (!navigator.locks) return resolve();
  navigator.locks.request(self.name, () => {
    resolve();
    return new Promise<never>(() => {});
  });
});
const session = new Session((report) => postMessage(report));

addEventListener("message", async ({ data }: MessageEvent<Request>) => {
  await alive;
  await session.handle(data);
});
