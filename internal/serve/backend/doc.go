// Package backend is what the protocols of a server ask of models.
//
// [Models] and [Model] are the seam: protocols know nothing else of models, and models nothing of protocols. An [*Error] says whose fault
// it is that a request has no answer, and each protocol gives it its own form. Package backendtest has models for the protocols' tests.
package backend
