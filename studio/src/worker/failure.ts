import { ManabiError } from "manabi";
import type { FailureKind } from "./messages.ts";

/** An error of a kind for which the page has words of its own. */
export class Failure extends ManabiError {
  readonly kind: FailureKind;

  constructor(kind: FailureKind, detail: string, options?: ErrorOptions) {
    super(detail, options);
    this.kind = kind;
  }
}

/** What to tell the page of anything that was thrown. */
export function describeFailure(error: unknown): { readonly failure: FailureKind; readonly detail: string } {
  const detail = error instanceof Error ? error.message : String(error);
  if (error instanceof Failure) return { failure: error.kind, detail };
  return { failure: /device.*lost/i.test(detail) ? "device-lost" : "other", detail };
}
