/** The thread that trains and predicts, so that the page stays free. */
import type { Request } from "./messages.ts";
import { Session } from "./session.ts";

const session = new Session((report) => postMessage(report));

addEventListener("message", ({ data }: MessageEvent<Request>) => void session.handle(data));

// Held as long as this thread lives: whoever gets the lock after it knows that it has died.
navigator.locks?.request(self.name, () => new Promise<never>(() => {}));
