// Package programs keeps compiled programs of accelerators on disk, so that the next process need not compile them.
package programs
