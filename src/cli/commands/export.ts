import { stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { Command, Option } from "commander";
import { unknownName } from "../../core/errors.ts";
import type { ImageInput } from "../../data/image-input.ts";
import { writeAtomic } from "../../io/atomic.ts";
import { createModel, findModel, isTimmRepository, modelNames, weightNames } from "../../models/index.ts";
import type { Layer } from "../../nn/container.ts";
import { initialize } from "../../nn/module.ts";
import { exportOnnx, loadOnnx } from "../../onnx/index.ts";
import type { Output } from "../../train/output.ts";
import { loadPublished } from "../published.ts";
import { outputOf, printJson, type Shell, showBytes, UsageError, wholeNumber } from "../shell.ts";
import { loadTrainedClassifier } from "../trained.ts";

interface Options {
  readonly onnx?: string;
  readonly batch?: string;
  readonly checkpoint: "best" | "last";
  readonly json?: boolean;
}

/** `manabi export`: a model for other runtimes. */
export const exportCommand = (shell: Shell): Command =>
  new Command("export")
    .description("write a trained model as an ONNX file, for ONNX Runtime and others")
    .argument("<model>", "a run's folder or name, a checkpoint file, published weights, or the name of a model")
    .option("--onnx <file>", "the file to write")
    .option("--batch <n>", "fix the number of images per call (default: any number)")
    .addOption(new Option("--checkpoint <which>", "of a run").choices(["best", "last"]).default("best"))
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      "\nThe file takes images as the model does, f32 [batch, channels, height, width], and gives logits. Its metadata\n" +
        "has the class names and the preprocessing as JSON.\n" +
        "\nExamples:\n  manabi export runs/photos-1 --onnx photos.onnx\n" +
        "  manabi export resnet50.keras_in1k --onnx resnet50.onnx --batch 1",
    )
    .action((name: string, options: Options) => write(shell, name, options));

async function write(shell: Shell, name: string, options: Options): Promise<void> {
  if (options.onnx === undefined) throw new UsageError("say which file to write: --onnx <file>");
  const batch = options.batch === undefined ? "batch" : wholeNumber("--batch", options.batch);
  const output = outputOf(shell, options);
  const { model, shape, classes, input } = await findExportable(name, options, output);
  const bytes = exportOnnx(model, {
    inputs: { input: { shape: [batch, ...shape] } },
    outputs: ["logits"],
    metadata: {
      model: name,
      ...(classes && { classes: JSON.stringify(classes) }),
      ...(input && { preprocessing: JSON.stringify(input.transforms) }),
    },
  });
  const file = resolve(options.onnx);
  await writeAtomic(file, bytes);
  const { inputs, outputs } = loadOnnx(bytes, { label: file });
  if (options.json)
    return printJson(shell, { file, bytes: bytes.length, inputs, outputs, classes: classes?.length ?? null });
  const describe = (values: typeof inputs) =>
    values.map((v) => `${v.name} ${v.dtype}[${(v.shape ?? []).join(", ")}]`).join(", ");
  output.info(`${file}: ${showBytes(bytes.length)}, ${describe(inputs)} -> ${describe(outputs)}`);
}

/** A model with what is known of its input and classes. */
interface Exported {
  readonly model: Layer;
  readonly shape: readonly number[];
  readonly classes: readonly string[] | null;
  readonly input: ImageInput | null;
}

async function findExportable(name: string, { checkpoint }: Options, output: Output): Promise<Exported> {
  if (modelNames().includes(name)) {
    output.warn(`${name} is the name of a model without weights; it is exported with drawn ones`);
    const model = initialize(await createModel(name), 0);
    return { model, shape: findModel(name).variant.input, classes: null, input: null };
  }
  const known = await weightNames();
  const published = known.includes(name) || isTimmRepository(name);
  const exists = (await stat(name).catch(() => null)) ?? (await stat(join("runs", name)).catch(() => null));
  if (!published && !exists) throw unknownName("run, checkpoint or model", name, [...known, ...modelNames()]);
  const { model, classes, input } = published
    ? await loadPublished(name, output)
    : await loadTrainedClassifier(name, checkpoint, output);
  return { model, shape: [input.channels, input.height, input.width], classes, input };
}
