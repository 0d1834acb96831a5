// Package pytext treats text as Python does, where the scripts that results are compared with
// are Python's: lower case and white space differ from Go's in a few characters.
//
//	lower.go   str.lower
//	space.go   str.isspace, str.split
package pytext
