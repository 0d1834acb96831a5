//go:build linux || darwin

package capi

import (
	"errors"
	"os"
	"path/filepath"
	"strings"

	"github.com/ebitengine/purego"
)

// allowed refuses what is not to be tried on this machine. libtpu asks the network what machine it is on, for a minute and more.
func allowed(path string) error {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	if !strings.HasPrefix(filepath.Base(path), "libtpu") {
		return nil
	}
	product, _ := os.ReadFile("/sys/devices/virtual/dmi/id/product_name")
	if strings.TrimSpace(string(product)) != "Google Compute Engine" {
		return errors.New(path + " is for machines with TPUs, and this is none: it was not loaded")
	}
	return nil
}

// prepare sets what a plugin for CUDA reads when it is loaded, and loads the libraries that lie beside it: its own search path does not reach all.
func prepare(path string) {
	if !strings.Contains(filepath.Base(path), "cuda") {
		return
	}
	packages := filepath.Join(filepath.Dir(path), "..", "..", "nvidia") // jax_plugins/xla_cuda13/xla_cuda_plugin.so
	for _, toolkit := range []string{"cu13", "cuda_nvcc"} {
		dir := filepath.Join(packages, toolkit)
		if _, err := os.Stat(filepath.Join(dir, "nvvm")); err == nil && !strings.Contains(os.Getenv("XLA_FLAGS"), "xla_gpu_cuda_data_dir") {
			os.Setenv("XLA_FLAGS", strings.TrimSpace(os.Getenv("XLA_FLAGS")+" --xla_gpu_cuda_data_dir="+dir))
		}
	}
	// In an order in which each finds what it needs.
	for _, name := range []string{"cudart", "nvJitLink", "nvrtc", "cublasLt", "cublas", "cupti", "cusparse", "cusolver", "cufft", "cudnn", "nccl", "nvshmem_host"} {
		files, _ := filepath.Glob(filepath.Join(packages, "*", "lib", "lib"+name+".so*"))
		for _, file := range files {
			purego.Dlopen(file, purego.RTLD_NOW|purego.RTLD_GLOBAL) // one that cannot be loaded is missed later, if it is needed
		}
	}
}
