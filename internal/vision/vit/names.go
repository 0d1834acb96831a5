package vit

// parameterNames are transformers' names, without what stands before those of the whole encoder. Affine maps and norms have
// ".weight" and ".bias" behind.
type parameterNames struct {
	patch            string // an affine map
	patchBias        bool
	class, registers string // vectors; "": the family has none
	positions        string
	preNorm          string // "": none

	layer                     string // with the layer's number
	norm1, norm2              string
	query, key, value, output string
	scale1, scale2            string // vectors; "": none
	inner, outer              string
	gateIn, gateOut           string // of a SwiGLU feed-forward part, instead of inner and outer
	norm                      string // the last
	pooler                    string // an affine map, if the file has it
	head                      string // of attention pooling
	normPooled                bool   // the last norm is of the pooled token alone
}

var vitNames = parameterNames{
	patch: "embeddings.patch_embeddings.projection", patchBias: true,
	class: "embeddings.cls_token", positions: "embeddings.position_embeddings",
	layer: "encoder.layer.%d.",
	norm1: "layernorm_before", norm2: "layernorm_after",
	query: "attention.attention.query", key: "attention.attention.key", value: "attention.attention.value", output: "attention.output.dense",
	inner: "intermediate.dense", outer: "output.dense",
	norm: "layernorm", pooler: "pooler.dense",
}

var dinoNames = parameterNames{
	patch: vitNames.patch, patchBias: true,
	class: vitNames.class, registers: "embeddings.register_tokens", positions: vitNames.positions,
	layer: vitNames.layer,
	norm1: "norm1", norm2: "norm2",
	query: vitNames.query, key: vitNames.key, value: vitNames.value, output: vitNames.output,
	scale1: "layer_scale1.lambda1", scale2: "layer_scale2.lambda1",
	inner: "mlp.fc1", outer: "mlp.fc2", gateIn: "mlp.weights_in", gateOut: "mlp.weights_out",
	norm: "layernorm",
}

var clipNames = parameterNames{
	patch: "embeddings.patch_embedding",
	class: "embeddings.class_embedding", positions: "embeddings.position_embedding.weight",
	preNorm: "pre_layrnorm",
	layer:   "encoder.layers.%d.",
	norm1:   "layer_norm1", norm2: "layer_norm2",
	query: "self_attn.q_proj", key: "self_attn.k_proj", value: "self_attn.v_proj", output: "self_attn.out_proj",
	inner: "mlp.fc1", outer: "mlp.fc2",
	norm: "post_layernorm", normPooled: true,
}

var siglipNames = parameterNames{
	patch: clipNames.patch, patchBias: true,
	positions: clipNames.positions,
	layer:     clipNames.layer,
	norm1:     clipNames.norm1, norm2: clipNames.norm2,
	query: clipNames.query, key: clipNames.key, value: clipNames.value, output: clipNames.output,
	inner: clipNames.inner, outer: clipNames.outer,
	norm: clipNames.norm, head: "head.",
}
