import type { ProgressListener } from "../fetch/download.ts";
import type { Output } from "./output.ts";

/** Shows the progress of a download on the status line: "fetching train-images.gz: 3.1 of 12.0 MB". */
export function fetchProgress(output: Output): ProgressListener {
  let last = "";
  return ({ what, bytes, total }) => {
    const size = total === null ? `${megabytes(bytes)} MB` : `${megabytes(bytes)} of ${megabytes(total)} MB`;
    const line = `fetching ${what}${bytes > 0 ? `: ${size}` : ""}`;
    if (what === last) output.working(line);
    else output.status(line);
    last = what;
  };
}

const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(1);
