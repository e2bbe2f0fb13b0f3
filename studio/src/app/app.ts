import type {
  BackendChoice,
  FailureKind,
  Progress,
  Report,
  Settings,
  Weights,
  WeightsNote,
  WeightsReason,
} from "../worker/messages.ts";
import { keepWeights, keptWeights } from "./kept-weights.ts";
import { type Link, startWorker } from "./link.ts";
import { type Point, Series } from "./series.ts";
import { keepSettings, readSettings } from "./settings.ts";
import { Signal } from "./signal.ts";

/** Where the training stands. */
export type Phase =
  | "opening"
  | "idle"
  | "fetching"
  | "compiling"
  | "training"
  | "evaluating"
  | "pausing"
  | "paused"
  | "stopping"
  | "done"
  | "stopped";

/** What the user is told above everything else. `note` is of weights that training can go on from. */
export type Notice =
  | {
      readonly kind: FailureKind | "worker-died" | "no-worker";
      readonly detail: string;
      readonly note: WeightsNote | null;
    }
  | { readonly kind: "interrupted"; readonly note: WeightsNote }
  | { readonly kind: "loaded"; readonly note: WeightsNote };

export interface Curves {
  readonly trainLoss: Series;
  readonly trainAccuracy: Series;
  readonly testLoss: Point[];
  readonly testAccuracy: Point[];
}

export type Step = Extract<Progress, { kind: "step" }>;

const atRest: ReadonlySet<Phase> = new Set(["opening", "idle", "done", "stopped"]);

/** The state of the studio, and what can be done in it. */
export class App {
  readonly phase = new Signal<Phase>("opening");
  readonly backends = new Signal<readonly BackendChoice[]>([]);
  readonly settings = new Signal<Settings>(readSettings());
  readonly fetched = new Signal({ bytes: 0, total: 0 });
  readonly step = new Signal<Step | null>(null);
  readonly epoch = new Signal<WeightsNote | null>(null);
  readonly weights = new Signal<Weights | null>(null);
  readonly probabilities = new Signal<readonly number[] | null>(null);
  readonly notice = new Signal<Notice | null>(null);
  readonly curves: Curves = { trainLoss: new Series(), trainAccuracy: new Series(), testLoss: [], testAccuracy: [] };
  /** Changes with the curves. */
  readonly drawn = new Signal(0);
  #link: Link;
  #training: Settings | null = null;
  /** A picture is with the worker; the latest one after it waits here. */
  #asked = false;
  #picture: Uint8Array<ArrayBuffer> | null = null;
  #blank = true;

  constructor() {
    this.settings.listen(() => keepSettings(this.settings.value));
    this.#link = this.#open();
  }

  get resting(): boolean {
    return atRest.has(this.phase.value);
  }

  /** Trains anew with the settings as they are. */
  start(): void {
    this.#cutCurves(0);
    this.#train(this.settings.value, null);
  }

  /** Trains on from the latest weights, on the backend that is chosen now. */
  goOn(): void {
    const weights = this.weights.value;
    if (!weights) return;
    const settings = { ...weights.note.settings, backend: this.settings.value.backend };
    this.settings.value = settings;
    this.#cutCurves(weights.note.epoch);
    this.#train(settings, weights);
  }

  pause(): void {
    this.phase.value = "pausing";
    this.#link.send({ kind: "pause" });
  }
  resume(): void {
    this.#link.send({ kind: "resume" });
  }
  stop(): void {
    this.phase.value = "stopping";
    this.#link.send({ kind: "stop" });
  }
  save(): void {
    this.#link.send({ kind: "save" });
  }
  load(bytes: ArrayBuffer, name: string): void {
    this.notice.value = null;
    this.#link.send({ kind: "load", bytes, name, why: "load" }, [bytes]);
  }

  /** Asks for the probabilities of a picture of 28 x 28 grey values; null forgets the last ones. */
  predict(picture: Uint8Array<ArrayBuffer> | null): void {
    this.#picture = picture;
    this.#blank = picture === null;
    if (!picture) this.probabilities.value = null;
    else if (this.weights.value || this.step.value) this.#ask();
  }

  #ask(): void {
    if (this.#asked || !this.#picture) return;
    this.#asked = true;
    this.#link.send({ kind: "predict", pixels: this.#picture });
    this.#picture = null;
  }

  #open(): Link {
    this.phase.value = "opening";
    this.#asked = false;
    const link = startWorker(
      (report) => this.#hear(report),
      (detail) => this.#bury(detail),
    );
    link.send({ kind: "open", data: new URL("data/mnist/", document.baseURI).href });
    return link;
  }

  #train(settings: Settings, from: Weights | null): void {
    this.notice.value = null;
    this.step.value = null;
    this.epoch.value = from?.note ?? null;
    this.#training = settings;
    this.phase.value = "fetching";
    this.fetched.value = { bytes: 0, total: 0 };
    this.#link.send({ kind: "train", settings, from });
  }

  /** Leaves what is of the epochs behind a training that begins. */
  #cutCurves(epoch: number): void {
    const { trainLoss, trainAccuracy, testLoss, testAccuracy } = this.curves;
    for (const series of [trainLoss, trainAccuracy]) series.cut(epoch);
    for (const points of [testLoss, testAccuracy]) points.splice(0, Infinity, ...points.filter(({ x }) => x <= epoch));
    this.drawn.value++;
  }

  /** What each report of the worker changes. */
  readonly #changes: { [K in Report["kind"]]: (report: Extract<Report, { kind: K }>) => void } = {
    opened: ({ backends }) => this.#opened(backends),
    fetching: (report) => {
      this.fetched.value = report;
    },
    compiling: () => this.#advance("compiling"),
    step: (report) => this.#stepped(report),
    evaluating: () => this.#advance("evaluating"),
    epoch: (report) => this.#judged(report),
    paused: () => {
      if (this.phase.value !== "stopping") this.phase.value = "paused";
    },
    resumed: () => this.#advance("training"),
    ended: ({ stopped }) => this.#ended(stopped),
    weights: ({ weights, why }) => this.#weighed(weights, why),
    prediction: ({ probabilities }) => {
      this.#asked = false;
      // What was drawn may have been cleared since it was asked about.
      if (!this.#blank) this.probabilities.value = probabilities;
      this.#ask();
    },
    failed: ({ failure, detail }) => this.#failed(failure, detail),
  };

  #hear(report: Report): void {
    const change = this.#changes[report.kind] as (report: Report) => void; // the table pairs each kind with its report
    change(report);
  }

  /** A phase that follows by itself; not over what the user has asked for. */
  #advance(phase: Phase): void {
    if (this.phase.value !== "pausing" && this.phase.value !== "stopping") this.phase.value = phase;
  }

  #opened(backends: readonly BackendChoice[]): void {
    this.backends.value = backends;
    const { backend } = this.settings.value;
    const usable = backends.filter(({ works }) => works);
    if (!usable.some(({ name }) => name === backend) && usable.length)
      this.settings.value = { ...this.settings.value, backend: usable[0].name };
    if (this.phase.value === "opening") this.phase.value = "idle";
    void this.#recall();
  }

  /** Brings back the weights at hand, after a crash, or those of the last visit. */
  async #recall(): Promise<void> {
    const kept = this.weights.value ? null : await keptWeights().catch(() => null);
    const weights = this.weights.value ?? kept;
    if (!weights || !this.resting) return;
    this.weights.value = weights;
    this.epoch.value = weights.note;
    this.#link.send({ kind: "load", bytes: weights.bytes, name: "", why: "recall" });
    if (kept && !kept.finished) this.notice.value = { kind: "interrupted", note: kept.note };
  }

  #stepped(report: Step): void {
    const x = (report.step / report.steps) * (this.#training?.epochs ?? 1);
    this.curves.trainLoss.add(x, report.loss);
    this.curves.trainAccuracy.add(x, report.accuracy);
    this.step.value = report;
    this.drawn.value++;
    this.#advance("training");
  }

  #judged({ epoch, loss, accuracy }: Extract<Progress, { kind: "epoch" }>): void {
    this.curves.testLoss.push({ x: epoch, y: loss });
    this.curves.testAccuracy.push({ x: epoch, y: accuracy });
    this.drawn.value++;
    this.#advance("training");
  }

  #ended(stopped: boolean): void {
    this.phase.value = stopped ? "stopped" : "done";
    this.#training = null;
    const weights = this.weights.value;
    if (weights) keepWeights({ ...weights, finished: true }).catch(() => {});
  }

  #weighed(weights: Weights, why: WeightsReason): void {
    this.weights.value = weights;
    this.epoch.value = weights.note;
    if (why === "save") download(weights);
    // A browser that keeps nothing is no reason to stop.
    else if (why === "epoch") keepWeights({ ...weights, finished: false }).catch(() => {});
    else this.#ask();
    if (why === "load") this.notice.value = { kind: "loaded", note: weights.note };
  }

  #failed(failure: FailureKind, detail: string): void {
    this.#asked = false;
    this.notice.value = { kind: failure, detail, note: this.#interrupted };
    // A weights file that was refused leaves everything as it was.
    if (failure === "weights") return;
    if (this.#training) this.phase.value = "stopped";
    this.#training = null;
  }

  /** What the training that just broke off can go on from. */
  get #interrupted(): WeightsNote | null {
    const note = this.#training && this.epoch.value;
    return note && note.epoch > 0 ? note : null;
  }

  #bury(detail: string): void {
    const note = this.#interrupted;
    if (this.phase.value === "opening") {
      this.notice.value = { kind: "no-worker", detail, note };
      return;
    }
    this.#training = null;
    this.#link = this.#open();
    this.notice.value = { kind: "worker-died", detail, note };
  }
}

function download({ bytes, note }: Weights): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([bytes], { type: "application/octet-stream" }));
  link.download = `mnist-${note.settings.network}-epoch${note.epoch}.safetensors`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
