/** Calls `onStop` on the first Ctrl-C or SIGTERM; the second one ends the process at once. Returns the undoing. */
export function onInterrupt(onStop: (signal: NodeJS.Signals) => void): () => void {
  let asked = false;
  const handle = (signal: NodeJS.Signals): void => {
    if (asked) process.exit(130);
    asked = true;
    onStop(signal);
  };
  const signals = ["SIGINT", "SIGTERM"] as const;
  for (const signal of signals) process.on(signal, handle);
  return () => {
    for (const signal of signals) process.off(signal, handle);
  };
}
