// Package cohere speaks the protocol of Cohere's API: rerank, of both versions, and embed. The first version of rerank is also Jina's, which
// took its form, so its answers have what clients of either look for.
package cohere
