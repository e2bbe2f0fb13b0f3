import type { Text } from "./en.ts";

const number = new Intl.NumberFormat("ja");
const percentages = [0, 1, 2].map(
  (digits) =>
    new Intl.NumberFormat("ja", { style: "percent", minimumFractionDigits: digits, maximumFractionDigits: digits }),
);
const percent = (share: number, digits: 0 | 1 | 2 = 2): string => percentages[digits].format(share);

export const ja: Text = {
  language: "日本語",
  title: "Manabi Studio",
  subtitle: "ニューラルネットワークが、このページの中で数字の読み方を学びます",
  skip: "学習の操作へ進む",
  about: "計算はすべてこの端末の中で行われます。絵も重みも外へは送られません。",

  train: "学習",
  network: "ネットワーク",
  networks: {
    mlp: ["2層", "パラメータ 101,770 個。数秒で学習します"],
    convnet: ["畳み込み", "パラメータ 9,098 個。形を捉えます"],
    resnet: ["ResNet", "パラメータ 77,754 個。最も正確で、最も時間がかかります"],
  },
  backend: "計算の方法",
  backends: {
    webgpu: "WebGPU",
    wasm: "WebAssembly",
    reference: "リファレンス",
    native: "ネイティブ",
  },
  backendNotes: {
    webgpu: "グラフィックスプロセッサ",
    wasm: "CPU のベクトル命令",
    reference: "素の TypeScript。遅いが比較の基準",
    native: "コンパイル済みの C",
  },
  threads: (n) => `${n} スレッド`,
  oneThread:
    "スレッドは 1 つだけです。このページのサーバーが、メモリ共有に必要なヘッダー(COOP、COEP)を送っていません。",
  unavailable: "ここでは使えません:",
  epochs: "エポック数",
  epochsHint: "全画像を何周するか",
  batchSize: "バッチサイズ",
  batchSizeHint: "1 ステップの画像数",
  lr: "学習率",
  lrHint: "最大のとき",
  images: "学習に使う画像",
  imageCount: (n) => (n === 0 ? "全 60,000 枚" : `${number.format(n)} 枚`),
  seed: "シード",
  seedHint: "同じ値なら同じ結果",
  more: "詳細設定",
  start: "学習を始める",
  startAnew: "初めから学習する",
  pause: "一時停止",
  resume: "再開",
  stop: "終了",

  progress: "経過",
  phases: {
    opening: "準備しています…",
    idle: "準備ができました。設定を選んで始めてください。",
    fetching: "画像を取得しています…",
    compiling: "学習ステップをコンパイルしています…",
    training: "学習中",
    evaluating: "テスト画像で確かめています…",
    pausing: "一時停止します…",
    paused: "一時停止中",
    stopping: "終了します…",
    done: "完了",
    stopped: "終了しました",
  },
  fetched: (bytes) => `画像 ${number.format(Math.round(bytes / 1e5) / 10)} MB`,
  step: (step, steps) => `ステップ ${number.format(step)} / ${number.format(steps)}`,
  speed: "画像/秒",
  testAccuracy: "テスト正解率",
  afterEpoch: (epoch) => `エポック ${epoch} の後`,
  trainLoss: "学習損失",
  loss: "損失",
  accuracy: "正解率",
  trainSeries: "学習",
  testSeries: "テスト",
  epochAxis: "エポック",
  chartHint: "矢印キーで曲線をたどれます。",
  chartEmpty: "学習を始めると曲線が現れます。",
  count: (n) => number.format(Math.round(n)),
  percent,
  decimal: (value) => value.toPrecision(3),

  draw: "数字を描く",
  drawHint: "マウス、指、ペンで描くと、ネットワークがすぐに読み取ります。",
  drawKeys: "キーボードでは、矢印キーでペンを動かし、スペースで下ろす・上げる、Delete で消します。",
  penDown: "ペンを下ろした状態",
  penUp: "ペンを上げた状態",
  clear: "消す",
  canvas: "描画領域",
  reads: "ネットワークの読み",
  readsNothing: "まだ何も描かれていません。",
  untrained: "まだ何も学んでいません。学習させるか、重みを読み込んでください。",
  reading: (digit, share) => `${digit}(確信度 ${percent(share, 1)})`,

  weights: "重み",
  weightsHint: "学んだ結果を .safetensors ファイルにします。Manabi や PyTorch などで読めます。",
  noWeights: "まだありません。",
  weightsOf: (network, epoch) => `${network}、エポック ${epoch}`,
  save: "保存",
  load: "読み込む…",

  notices: {
    "data-missing": [
      "MNIST の画像がありません。",
      "サーバーを止め、ネットワークにつながる状態で npm run studio を一度実行すると取得されます。または公式の 4 つのファイル(train-images-idx3-ubyte.gz など)をこのページの隣の data/mnist フォルダーに置いてください。その後、もう一度始めてください。",
    ],
    "data-bad": ["画像のファイルが壊れています。", "公式のファイルに置き換えて、もう一度始めてください。"],
    "device-lost": [
      "グラフィックスプロセッサとの接続が失われました。",
      "ブラウザーまたはドライバーがリセットし、保持していた値は失われました。計算の方法を選べば、最後に終えたエポックから続けられます。",
    ],
    weights: [
      "このファイルは読み込めません。",
      "何も変わっていません。ここで保存した .safetensors ファイルを選んでください。",
    ],
    other: ["問題が起きました。", "学習は止まりました。"],
    "worker-died": [
      "学習が外から打ち切られました。",
      "メモリ不足などで、ブラウザーが学習中のスレッドを閉じました。新しいスレッドの準備ができています。",
    ],
    "no-worker": [
      "学習用のスレッドを起動できませんでした。",
      "ページを再読み込みしてください。モジュールワーカーに対応したブラウザーが必要です。",
    ],
    interrupted: ["前回の学習は途中で中断されました。", "重みは残っているので、続きから学習できます。"],
    loaded: ["重みを読み込みました。", "数字を描いて試してください。"],
  },
  noteOf: (network, epoch, accuracy) =>
    `${network}、エポック ${epoch}${accuracy === null ? "" : `、テスト画像の正解率 ${percent(accuracy)}`}`,
  goOn: "学習を続ける",
  dismiss: "閉じる",
};
