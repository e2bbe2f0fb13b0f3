import type { Layout, Rename } from "./layout.ts";

const timm: Layout = {
  library: "timm",
  renames: [
    [/^class_token$/, "cls_token"],
    [/^encoder\.pos_embedding$/, "pos_embed"],
    [/^conv_proj\./, "patch_embed.proj."],
    [/^backbone\./, "patch_embed.backbone."],
    [/^encoder\.layers\.encoder_layer_(\d+)\./, "blocks.$1."],
    [/^encoder\.ln\./, "norm."],
    [/\.ln_([12])\./, ".norm$1."],
    [/\.self_attention\.in_proj_/, ".attn.qkv."],
    [/\.self_attention\.out_proj\./, ".attn.proj."],
    [/\.mlp\.0\./, ".mlp.fc1."],
    [/\.mlp\.3\./, ".mlp.fc2."],
    [/^heads\.pre_logits\./, "pre_logits.fc."],
    [/^heads\.head\./, "head."],
  ],
};

/** `prefix` is empty in files of the base model, which have no classifier but may have a pooler: the hidden layer of the
 *  head for pre-training, which fine-tuning leaves out. */
const transformers = (prefix: string, blocks: readonly Rename[]): Layout => ({
  library: "transformers",
  renames: [
    [/^class_token$/, `${prefix}embeddings.cls_token`],
    [/^encoder\.pos_embedding$/, `${prefix}embeddings.position_embeddings`],
    [/^conv_proj\./, `${prefix}embeddings.patch_embeddings.projection.`],
    [/^encoder\.ln\./, `${prefix}layernorm.`],
    [/\.ln_1\./, ".layernorm_before."],
    [/\.ln_2\./, ".layernorm_after."],
    ...blocks,
    [/^heads\.pre_logits\./, `${prefix}pooler.dense.`],
    [/^heads\.head\./, "classifier."],
  ],
  unused: /^(vit\.)?pooler\./,
  options: () => ({ normEps: 1e-12 }),
});

/** As the files on Hugging Face name them, and `save_pretrained` to this day. */
const saved = (prefix: string): Rename[] => [
  [/^encoder\.layers\.encoder_layer_(\d+)\./, `${prefix}encoder.layer.$1.`],
  [/\.self_attention\.in_proj_/, ".attention.attention.{query,key,value}."],
  [/\.self_attention\.out_proj\./, ".attention.output.dense."],
  [/\.mlp\.0\./, ".intermediate.dense."],
  [/\.mlp\.3\./, ".output.dense."],
];

/** As the modules of transformers 5 are called, whose state dict may have been saved as it is. */
const modules = (prefix: string): Rename[] => [
  [/^encoder\.layers\.encoder_layer_(\d+)\./, `${prefix}layers.$1.`],
  [/\.self_attention\.in_proj_/, ".attention.{q_proj,k_proj,v_proj}."],
  [/\.self_attention\.out_proj\./, ".attention.o_proj."],
  [/\.mlp\.0\./, ".mlp.fc1."],
  [/\.mlp\.3\./, ".mlp.fc2."],
];

export const layouts: readonly Layout[] = [
  timm,
  ...["vit.", ""].flatMap((prefix) => [transformers(prefix, saved(prefix)), transformers(prefix, modules(prefix))]),
];
