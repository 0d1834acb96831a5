// Package tei speaks the protocol of text-embeddings-inference. Its root also answers what huggingface_hub's InferenceClient posts to the
// address of a server: vectors, similarity and classification.
package tei
