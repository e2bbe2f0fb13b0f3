import { fromHost, jit, setBackend, softmax, type Tensor } from "manabi";
import { applyTransforms } from "manabi/data";
import { initialize, type Layer } from "manabi/nn";
import { findBackends } from "./backends.ts";
import { type Digits, fetchDigits } from "./digits.ts";
import { describeFailure } from "./failure.ts";
import type { Report, Request, Settings, Weights, WeightsNote, WeightsReason } from "./messages.ts";
import { makeNetwork } from "./networks.ts";
import { scale, train } from "./training.ts";
import { loadWeights, readNote, saveWeights } from "./weights.ts";

/** A network with what is known of its values, and its probabilities of a picture f32 [1, 1, 28, 28] -> [10]. */
interface Pupil {
  readonly model: Layer;
  readonly note: WeightsNote;
  readonly predict: (x: Tensor) => Tensor;
}

const pupil = (model: Layer, note: WeightsNote): Pupil => ({
  model,
  note,
  predict: jit((x: Tensor) => softmax(model.forward(x)).flatten(0)),
});

/** What the worker does for the page: one training at a time, and predictions in between. */
export class Session {
  readonly #report: (report: Report) => void;
  #folder = "";
  #digits: Promise<Digits> | null = null;
  #pupil: Pupil | null = null;
  /** Set while a training runs; `stop` ends it after the step at hand. */
  #running: { stop: boolean; pause: { promise: Promise<void>; resume: () => void } | null } | null = null;

  constructor(report: (report: Report) => void) {
    this.#report = report;
  }

  /** Does what the page asks; whatever goes wrong is reported. */
  async handle(request: Request): Promise<void> {
    try {
      await this.#do(request);
    } catch (error) {
      const told = describeFailure(error);
      this.#report({ kind: "failed", ...told });
      if (told.failure !== "device-lost") return;
      // Its values are gone, and with them what it could predict.
      this.#pupil = null;
      this.#report({ kind: "opened", backends: await findBackends() });
    }
  }

  async #do(request: Request): Promise<void> {
    switch (request.kind) {
      case "open":
        this.#folder = request.data;
        return this.#report({ kind: "opened", backends: await findBackends() });
      case "train":
        return this.#train(request.settings, request.from);
      case "pause":
        return this.#pause();
      case "resume":
        return this.#running?.pause?.resume();
      case "stop":
        if (this.#running) this.#running.stop = true;
        return this.#running?.pause?.resume();
      case "predict":
        return this.#predict(request.pixels);
      case "save":
        return this.#tellWeights("save");
      case "load":
        return this.#load(request);
    }
  }

  async #train(settings: Settings, from: Weights | null): Promise<void> {
    if (this.#running) return;
    const running = { stop: false, pause: null };
    this.#running = running;
    try {
      const digits = await this.#fetch();
      setBackend(settings.backend);
      const model = initialize(await makeNetwork(settings.network), settings.seed);
      if (from) await loadWeights(model, from.bytes, settings.network);
      this.#pupil = pupil(model, { settings, epoch: from?.note.epoch ?? 0, accuracy: from?.note.accuracy ?? null });
      this.#report({ kind: "compiling" });
      if (!running.stop) await this.#follow(train(model, digits, settings, this.#pupil.note.epoch), settings);
      this.#report({ kind: "ended", stopped: running.stop });
    } finally {
      this.#running = null;
    }
  }

  async #follow(training: ReturnType<typeof train>, settings: Settings): Promise<void> {
    for await (const progress of training) {
      this.#report(progress);
      if (progress.kind === "epoch") {
        const { epoch, accuracy } = progress;
        this.#pupil = { ...(this.#pupil as Pupil), note: { settings, epoch, accuracy } };
        await this.#tellWeights("epoch");
      }
      const running = this.#running;
      if (running?.pause) {
        this.#report({ kind: "paused" });
        await running.pause.promise;
        running.pause = null;
        if (!running.stop) this.#report({ kind: "resumed" });
      }
      if (running?.stop) break;
    }
  }

  /** The images, fetched once; after a failure they are fetched anew. */
  #fetch(): Promise<Digits> {
    this.#digits ??= fetchDigits(this.#folder, (bytes, total) =>
      this.#report({ kind: "fetching", bytes, total }),
    ).catch((error) => {
      this.#digits = null;
      throw error;
    });
    return this.#digits;
  }

  #pause(): void {
    if (!this.#running || this.#running.pause) return;
    let resume = () => {};
    const promise = new Promise<void>((resolve) => {
      resume = resolve;
    });
    this.#running.pause = { promise, resume };
  }

  async #predict(pixels: Uint8Array<ArrayBuffer>): Promise<void> {
    if (!this.#pupil) return;
    const { model, predict } = this.#pupil;
    const image = applyTransforms([scale], { dtype: "u8", shape: [28, 28, 1], data: pixels }, [0, 0]);
    const { training } = model;
    model.eval();
    const probabilities = predict(fromHost(image).reshape([1, 1, 28, 28]));
    model.train(training);
    this.#report({ kind: "prediction", probabilities: Array.from(await probabilities.data()) });
  }

  async #tellWeights(why: WeightsReason): Promise<void> {
    if (!this.#pupil) return;
    const { model, note } = this.#pupil;
    this.#report({ kind: "weights", weights: await saveWeights(model, note), why });
  }

  async #load({ bytes, name, why }: Extract<Request, { kind: "load" }>): Promise<void> {
    const note = await readNote(bytes, name);
    const model = await makeNetwork(note.settings.network);
    await loadWeights(model, bytes, name);
    this.#pupil = pupil(model.eval(), note);
    await this.#tellWeights(why);
  }
}
