const number = new Intl.NumberFormat("en");
const percentages = [0, 1, 2].map(
  (digits) =>
    new Intl.NumberFormat("en", { style: "percent", minimumFractionDigits: digits, maximumFractionDigits: digits }),
);
const percent = (share: number, digits: 0 | 1 | 2 = 2): string => percentages[digits].format(share);

export const en = {
  language: "English",
  title: "Manabi Studio",
  subtitle: "A neural network learns to read digits, here in this page",
  skip: "Skip to the training",
  about: "Everything is computed on this device. No picture and no weight leaves it.",

  train: "Train",
  network: "Network",
  networks: {
    mlp: ["Two layers", "101,770 parameters, trains in seconds"],
    convnet: ["Convolutional", "9,098 parameters, sees shapes"],
    resnet: ["ResNet", "77,754 parameters, the most exact and the slowest"],
  },
  backend: "Computes with",
  backends: {
    webgpu: "WebGPU",
    wasm: "WebAssembly",
    reference: "Reference",
    native: "Native",
  },
  backendNotes: {
    webgpu: "the graphics processor",
    wasm: "the processor, vector instructions",
    reference: "plain TypeScript, slow, to compare with",
    native: "compiled C",
  },
  threads: (n: number) => (n === 1 ? "1 thread" : `${n} threads`),
  oneThread:
    "One thread only: the server of this page does not send the headers that let it share memory (COOP, COEP).",
  unavailable: "Not available here.",
  missing: {
    webgpu: "This browser has no graphics processor that it may compute with.",
    wasm: "The WebAssembly of this browser cannot compute this.",
    reference: "It does not work.",
    native: "A browser cannot compile C.",
  },
  why: "The reason in full",
  epochs: "Epochs",
  epochsHint: "rounds of all images",
  batchSize: "Batch size",
  batchSizeHint: "images per step",
  lr: "Learning rate",
  lrHint: "at its peak",
  images: "Training images",
  imageCount: (n: number) => (n === 0 ? "all 60,000" : number.format(n)),
  seed: "Seed",
  seedHint: "same seed, same run",
  more: "More settings",
  start: "Start training",
  startAnew: "Train anew",
  pause: "Pause",
  resume: "Resume",
  stop: "Stop",

  progress: "Progress",
  phases: {
    opening: "Getting ready …",
    idle: "Ready. Choose and start.",
    fetching: "Fetching the images …",
    compiling: "Compiling the training step …",
    training: "Training",
    evaluating: "Checking on the test images …",
    pausing: "Pausing …",
    paused: "Paused",
    stopping: "Stopping …",
    done: "Done",
    stopped: "Stopped",
  },
  fetched: (bytes: number) => `${number.format(Math.round(bytes / 1e5) / 10)} MB of images`,
  step: (step: number, steps: number) => `Step ${number.format(step)} of ${number.format(steps)}`,
  speed: "Images per second",
  testAccuracy: "Test accuracy",
  afterEpoch: (epoch: number) => `after epoch ${epoch}`,
  trainLoss: "Training loss",
  loss: "Loss",
  accuracy: "Accuracy",
  trainSeries: "training",
  testSeries: "test",
  epochAxis: "epoch",
  chartHint: "Arrow keys move along the curve.",
  chartEmpty: "The curve appears once training has begun.",
  count: (n: number) => number.format(Math.round(n)),
  percent,
  decimal: (value: number) => value.toPrecision(3),

  draw: "Draw a digit",
  drawHint: "With mouse, finger or pen. The network reads along.",
  drawKeys: "With the keyboard: arrow keys move the pen, space puts it down and lifts it, Delete clears.",
  penDown: "Pen down",
  penUp: "Pen up",
  clear: "Clear",
  canvas: "Drawing area",
  reads: "The network reads",
  readsNothing: "Nothing drawn yet.",
  untrained: "It has learnt nothing yet: train it, or load weights.",
  reading: (digit: number, share: number) => `${digit}, ${percent(share, 1)} certain`,

  weights: "Weights",
  weightsHint: "What the network has learnt, as a .safetensors file that Manabi, PyTorch and others read.",
  noWeights: "None yet.",
  weightsOf: (network: string, epoch: number) => `${network}, epoch ${epoch}`,
  save: "Save",
  load: "Load …",

  notices: {
    "data-missing": [
      "The images of MNIST are not there.",
      "Stop the server, run npm run studio with a network once, which fetches them; or put the four official files (train-images-idx3-ubyte.gz and so on) into the folder data/mnist beside this page. Then start again.",
    ],
    "data-bad": ["A file of images is damaged.", "Replace it by the official one and start again."],
    "device-lost": [
      "The graphics processor was lost.",
      "The browser or its driver has reset it, and what it held is gone. Choose a backend; training can go on from the last whole epoch.",
    ],
    weights: ["This file cannot be loaded.", "Nothing has changed. Choose a .safetensors file that was saved here."],
    other: ["Something went wrong.", "Training has stopped."],
    "worker-died": [
      "The training was ended from outside.",
      "The browser has closed the thread that trained, perhaps for want of memory. A new one is ready.",
    ],
    "no-worker": [
      "The thread that trains could not be started.",
      "Reload the page; this browser must allow module workers.",
    ],
    interrupted: ["The last training was interrupted.", "Its weights were kept, and training can go on from them."],
    loaded: ["Weights loaded.", "Draw a digit to try them."],
  },
  noteOf: (network: string, epoch: number, accuracy: number | null) =>
    `${network}, epoch ${epoch}${accuracy === null ? "" : `, ${percent(accuracy)} of the test images right`}`,
  goOn: "Go on training",
  dismiss: "Dismiss",
};

type Widened<T> = T extends string
  ? string
  : T extends (...args: infer A) => string
    ? (...args: A) => string
    : { [K in keyof T]: Widened<T[K]> };

/** All that the studio says, in one language. */
export type Text = Widened<typeof en>;
