// Package oip is the Open Inference Protocol, version 2, over HTTP and gRPC, which Triton, KServe and others speak.
//
// What a model reads and answers are named tensors. [describe] makes them of what the model can do; docs/reference/serve-oip.md lists
// them. A request has a batch of inputs, and the outputs that it asks for say what is computed.
//
// HTTP has tensors as JSON numbers and strings, or as bytes behind the JSON (Triton's extension binary_tensor_data). gRPC comes over the
// same port: [Mount] puts its service on the mux, so that keys, TLS, limits, logs and shutdown are those of the HTTP server.
package oip
