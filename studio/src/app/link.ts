import type { Report, Request } from "../worker/messages.ts";

/** The worker as the page sees it. */
export interface Link {
  send(request: Request, transfer?: Transferable[]): void;
  /** Ends the worker. */
  close(): void;
}

let count = 0;

/** Starts a worker. `onDeath` is called once if it dies without being asked to, by a crash or by the browser. */
export function startWorker(onReport: (report: Report) => void, onDeath: (detail: string) => void): Link {
  const name = `manabi-studio-${Date.now()}-${count++}`;
  const worker = new Worker(new URL("../worker/worker.ts", import.meta.url), { type: "module", name });
  let alive = true;
  let watched = false;
  const die = (detail: string) => {
    if (!alive) return;
    alive = false;
    worker.terminate();
    onDeath(detail);
  };
  worker.onmessage = ({ data }: MessageEvent<Report>) => {
    // Its first word: from now on it holds a lock of its name, which this gets when it has died.
    if (!watched) navigator.locks?.request(name, () => die(""));
    watched = true;
    onReport(data);
  };
  worker.onerror = (event) => die(event.message ?? "");
  return {
    send: (request, transfer = []) => worker.postMessage(request, transfer),
    close() {
      alive = false;
      worker.terminate();
    },
  };
}
