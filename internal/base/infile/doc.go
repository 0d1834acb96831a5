// Package infile opens and reads the files that come from outside.
//
// All readers of the program go through it, so that each treats alike what is often met in place
// of the file that was meant: a pipe or a device, which would block for ever; a Git LFS pointer or
// a web page under the name of a model; a byte order mark before the first character; the hidden
// companions that systems leave in folders; a file without end.
//
//	infile.go   Open, Read, Hidden
//	error.go    Error: file, line, problem, remedy
//	kind.go     Foreign, Binary: what the first bytes say
//	stream.go   OpenText, Text, Interruptible: what may be a pipe
//	json.go     ReadJSON, DecodeJSON, byte order marks
package infile
