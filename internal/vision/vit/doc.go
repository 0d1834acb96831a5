// Package vit runs Vision Transformers as picture encoders: ViT, the vision towers of CLIP and SigLIP, and DINOv2 without and
// with register tokens, from files of Hugging Face's transformers.
//
// A picture is cut into patches, each of which becomes a token: its pixels times a matrix, plus an embedding of its place.
// In front stand a class token and registers, if the model has them. Layers normalise what they read (pre-norm):
//
//	x = x + scale·Att(LN(x))
//	x = x + scale·FFN(LN(x))
//
// The regions are the patches' rows of what transformers calls last_hidden_state, and their boxes the patches' places. The
// picture as a whole is transformers' pooler_output:
//
//	ViT            tanh of an affine map of the class token; the class token itself where the file has no pooler that does so
//	CLIP           the class token after post_layernorm, before the projection. Regions are what last_hidden_state holds: no norm
//	SigLIP         what a learned query attends to, through a feed-forward part; the mean of the regions without that head
//	DINOv2         the class token
//
// Parameters keep the names and the shapes that they have in transformers' files.
package vit
