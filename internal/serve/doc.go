// Package serve is the server of "unimo serve": models over HTTP.
//
//	serve.go   Run: from the listener to the last answer
//	routes.go  what is mounted where, and who says it of a path where nothing is
//	guard.go   what every request passes: keys, hosts, bounded memory, slow clients, panics
//	keys.go    the file of keys
//	health.go  /livez and /readyz
//
// A request goes through the guard to a protocol's handler (packages openai, cohere, tei, oip, native), which asks package backend:
//
//	listener --guard--> mux --protocol--> backend.Model --queue--> the model
//
// Run listens first and then loads the models, so that whoever watches sees the server live and not yet ready. When its context ends it
// is not ready any more, goes on answering for a moment, in which clients on kept connections are told to leave, takes no new
// connections, and ends with the last answer, or after a period of grace.
package serve
