//go:build !amd64

package kernels

func int8Tiles(ISA) []*int8Tile { return []*int8Tile{&int8Generic} }
