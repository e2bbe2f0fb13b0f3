/** The config.json that stands beside weights in repositories of timm and of transformers, as far as it is read. */
import { centerCrop, type ImageInput, normalize, resize, type Transform } from "../../data/index.ts";
import { FormatError, ManabiError } from "../../index.ts";
import type { ModelOptions } from "../options.ts";
import { imagenetClasses } from "./imagenet-classes.ts";
import { modelOfTimm } from "./timm-names.ts";

/** What is known of weights beside their tensors. */
export interface WeightsFacts {
  /** Null where the configuration leaves it to the tensors. */
  readonly model: string | null;
  readonly options: ModelOptions;
  readonly classes: readonly string[];
  /** Null where the preprocessing is not there. */
  readonly input: ImageInput | null;
  readonly licence: string | null;
}

/** A JSON file beside weights. `path` names it in errors. */
export function parseJson(path: string, text: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new FormatError(`${path}: not valid JSON; delete it, so that it is fetched again`, { cause: error });
  }
  if (typeof value !== "object" || value === null) throw new FormatError(`${path}: this is no record`);
  return value as Record<string, unknown>;
}

/** Names of classes by their number, where there are none. */
export const namesFor = (count: number): readonly string[] =>
  count === imagenetClasses.length ? imagenetClasses : Array.from({ length: count }, (_, i) => String(i));

interface TimmConfig {
  readonly architecture: string;
  readonly num_classes: number;
  readonly label_names?: readonly string[];
  readonly pretrained_cfg: {
    readonly input_size: readonly number[];
    readonly test_input_size?: readonly number[];
    readonly crop_pct: number;
    readonly test_crop_pct?: number;
    readonly interpolation: string;
    readonly mean: readonly number[];
    readonly std: readonly number[];
    readonly license?: string;
  };
}

function isTimmConfig(config: Partial<TimmConfig>): config is TimmConfig {
  const { architecture, num_classes: count, pretrained_cfg: settings } = config;
  const sizes = settings?.test_input_size ?? settings?.input_size;
  return (
    typeof architecture === "string" &&
    Number.isInteger(count) &&
    sizes?.length === 3 &&
    sizes.every((d) => Number.isInteger(d) && d > 0) &&
    settings?.mean?.length === sizes[0] &&
    settings.std?.length === sizes[0] &&
    settings.crop_pct > 0
  );
}

/** The config.json of a repository of timm. Throws `FormatError` for one of something else. */
export function timmFacts(
  path: string,
  config: Partial<TimmConfig>,
): WeightsFacts & { readonly model: string; readonly input: ImageInput } {
  if (!isTimmConfig(config)) throw new FormatError(`${path}: this is no configuration of an image classifier of timm`);
  const { architecture, num_classes: count, label_names: labels, pretrained_cfg: settings } = config;
  const [channels, height, width] = settings.test_input_size ?? settings.input_size;
  const { interpolation, mean, std, license = null } = settings;
  if (interpolation !== "bilinear" && interpolation !== "bicubic")
    throw new ManabiError(`${path}: interpolation "${interpolation}"; bilinear and bicubic are supported`);
  const shorter = Math.floor(height / (settings.test_crop_pct ?? settings.crop_pct));
  const transforms = [resize(shorter, interpolation), centerCrop([height, width]), normalize(mean, std)];
  return {
    ...modelOfTimm(architecture),
    classes: labels ?? namesFor(count),
    input: { height, width, channels, transforms },
    licence: license,
  };
}

/** What may be different about a model of transformers: our options by the type of model, and the activation that ours has. */
const transformersModels: Readonly<
  Record<string, { readonly activation: string; options(config: TransformersConfig): ModelOptions }>
> = {
  vit: { activation: "gelu", options: ({ layer_norm_eps: normEps }) => given({ normEps }) },
  resnet: {
    activation: "relu",
    options: ({ downsample_in_bottleneck: first }) => (first ? { strideIn: "1x1" } : {}),
  },
  efficientnet: { activation: "swish", options: ({ batch_norm_eps: normEps }) => given({ normEps }) },
  mobilenet_v2: {
    activation: "relu6",
    options: ({ layer_norm_eps: normEps, tf_padding: tf }) =>
      given({ normEps, padding: tf === undefined ? undefined : tf ? "same" : "symmetric" }),
  },
};

interface TransformersConfig {
  readonly model_type: string;
  readonly hidden_act?: string;
  readonly id2label?: Readonly<Record<string, string>>;
  readonly layer_norm_eps?: number;
  readonly batch_norm_eps?: number;
  readonly downsample_in_bottleneck?: boolean;
  readonly tf_padding?: boolean;
}

const given = (options: Readonly<Record<string, unknown>>): ModelOptions =>
  Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));

/** The preprocessor_config.json of transformers. */
interface PreprocessorConfig {
  readonly size?: number | { readonly shortest_edge?: number; readonly height?: number; readonly width?: number };
  readonly crop_size?: number | { readonly height: number; readonly width: number };
  readonly crop_pct?: number;
  readonly resample?: number;
  readonly do_center_crop?: boolean;
  readonly include_top?: boolean;
  readonly image_mean?: readonly number[];
  readonly image_std?: readonly number[];
}

/** The config.json and, where there is one, the preprocessor_config.json of a repository of transformers. */
export function transformersFacts(
  path: string,
  config: TransformersConfig,
  preprocessor: PreprocessorConfig | null,
): WeightsFacts {
  const known = Object.hasOwn(transformersModels, config.model_type) ? transformersModels[config.model_type] : null;
  if (!known)
    throw new ManabiError(
      `${path}: model_type "${config.model_type}"; of transformers, ${Object.keys(transformersModels).join(", ")} can be read`,
    );
  const { hidden_act: activation = known.activation, id2label: labels = {} } = config;
  if (activation !== known.activation)
    throw new ManabiError(`${path}: hidden_act "${activation}"; models of this kind have "${known.activation}" here`);
  const names = Object.keys(labels)
    .sort((a, b) => Number(a) - Number(b))
    .map((number) => labels[number]);
  // What transformers writes where nobody has named the classes.
  const unnamed = names.every((name, i) => name === `LABEL_${i}`);
  return {
    model: null,
    options: known.options(config),
    classes: unnamed ? namesFor(names.length) : names,
    input: preprocessor && preprocessing(path, preprocessor),
    licence: null,
  };
}

const pair = (size: number | { readonly height?: number; readonly width?: number }): readonly [number, number] =>
  typeof size === "number" ? [size, size] : [size.height ?? 0, size.width ?? 0];

/** Pillow's numbers. */
const interpolations: Readonly<Record<number, "bilinear" | "bicubic">> = { 2: "bilinear", 3: "bicubic" };

function preprocessing(path: string, config: PreprocessorConfig): ImageInput {
  const { size = 224, crop_size: crop = 224, crop_pct: share, resample = 2 } = config;
  const { image_mean: mean = [0.5, 0.5, 0.5], image_std: std = [0.5, 0.5, 0.5] } = config;
  const interpolation = interpolations[resample];
  if (!interpolation)
    throw new ManabiError(`${path}: resample ${resample}; 2 (bilinear) and 3 (bicubic) are supported`);
  const shorter = typeof size === "object" ? size.shortest_edge : share === undefined ? undefined : size;
  const fit: Transform[] = [];
  let [height, width] = shorter === undefined ? pair(size) : [shorter, shorter];
  // With a share, the rule of ConvNeXT: small images are cropped, those of 384 pixels and more are not.
  if (shorter !== undefined && share !== undefined)
    fit.push(
      ...(shorter < 384
        ? [resize(Math.floor(shorter / share), interpolation), centerCrop(shorter)]
        : [resize([shorter, shorter], interpolation)]),
    );
  else fit.push(resize(shorter ?? [height, width], interpolation));
  if (config.do_center_crop) {
    [height, width] = pair(crop);
    fit.push(centerCrop([height, width]));
  }
  if (!(height > 0 && width > 0)) throw new FormatError(`${path}: there is no size of the images in it`);
  // EfficientNet's are divided by the deviation once more.
  const scale = config.include_top ? std.map((s) => s * s) : std;
  return { height, width, channels: mean.length, transforms: [...fit, normalize(mean, scale)] };
}
