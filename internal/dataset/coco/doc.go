// Package coco reads and writes what captioning has besides pictures with captions: the names of the objects in them,
// the reference's lines, and the result files of COCO's server.
//
//	lines.go    the reference's lines: an image's regions and a caption of it, as ids of tokens
//	objects.go  names of objects: from a file, or a detector's classes
//	result.go   captions that were written, as COCO's server takes them
//
// Pictures with captions are read by package captions. Errors about files are [*textfile.FileError].
package coco
