//go:build !unix

package infile

const nonBlocking = 0
