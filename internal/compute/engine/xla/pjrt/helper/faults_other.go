//go:build !linux

package helper

func faultsEnd() {}
