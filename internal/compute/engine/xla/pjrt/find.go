package pjrt

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// PathVariable is the environment variable that names plugins: files, and folders that have some, as in PATH.
const PathVariable = "UNIMO_PJRT_PATH"

// Plugin is a plugin's file that was found. It was neither read nor loaded.
type Plugin struct {
	Path    string
	Kind    string // of the device: cuda, rocm, tpu, oneapi, metal or cpu; "" where its name does not say
	Package string // the Python package that it came with, and its version; "" where it came otherwise
	Version string
}

// kinds are told by the names of files and folders. driver is the program that says what a driver sees.
var kinds = []struct{ word, kind, install, driver string }{
	{"cuda", "cuda", "jax-cuda13-pjrt", "nvidia-smi"}, {"rocm", "rocm", "jax-rocm7-pjrt", "rocminfo"}, {"tpu", "tpu", "libtpu", ""},
	{"oneapi", "oneapi", "jax-oneapi-pjrt", "sycl-ls"}, {"metal", "metal", "jax-metal", ""}, {"cpu", "cpu", "", ""},
}

// kindOf is the kind of device that a plugin is for, by its file's name, else by that of its folder.
func kindOf(path string) string {
	for _, name := range []string{filepath.Base(path), filepath.Base(filepath.Dir(path))} {
		for _, k := range kinds {
			if strings.Contains(strings.ToLower(name), k.word) {
				return k.kind
			}
		}
	}
	return ""
}

// Find returns the plugins of this machine, those first that are named: what PathVariable says, what lies beside this program, and what the active
// and usual environments of Python have. It reads folders alone.
func Find() []Plugin {
	list, _ := find(os.Getenv)
	return list
}

// FindKind returns the first plugin for a kind of device.
func FindKind(kind string) (Plugin, error) {
	list, looked := find(os.Getenv)
	for _, p := range list {
		if p.Kind == kind {
			return p, nil
		}
	}
	how := ""
	for _, k := range kinds {
		if k.kind == kind && k.install != "" {
			how = "install " + k.install + " (pip), or "
		}
	}
	return Plugin{}, fmt.Errorf("%w for %s in %s; %sname its file with %s", ErrNoPlugin, kind, strings.Join(looked, ", "), how, PathVariable)
}

// Named returns plugins by their files.
func Named(files []string) (list []Plugin) {
	for _, path := range files {
		if real, err := filepath.EvalSymlinks(path); err == nil {
			path = real
		}
		if whole, err := filepath.Abs(path); err == nil { // a name without a folder is looked for among the system's libraries
			path = whole
		}
		p := Plugin{Path: path, Kind: kindOf(path)}
		packageOf(&p)
		list = append(list, p)
	}
	return list
}

// ErrNoPlugin says that no plugin was found.
var ErrNoPlugin = errors.New("no plugin was found")

// find also says where it looked.
func find(env func(string) string) (list []Plugin, looked []string) {
	add := func(path string) {
		found := Named([]string{path})[0]
		if !slices.ContainsFunc(list, func(p Plugin) bool { return p.Path == found.Path }) {
			list = append(list, found)
		}
	}
	look := func(folder string) {
		if real, err := filepath.EvalSymlinks(folder); err == nil && !slices.Contains(looked, real) {
			looked = append(looked, real)
			for _, path := range inFolder(real) {
				add(path)
			}
		}
	}
	for _, named := range filepath.SplitList(env(PathVariable)) {
		if info, err := os.Stat(named); err == nil && info.IsDir() {
			look(named)
		} else if named != "" {
			add(named) // what is not there is said by who loads it
		}
	}
	if own, err := os.Executable(); err == nil {
		if real, err := filepath.EvalSymlinks(own); err == nil {
			look(filepath.Dir(real))
		}
	}
	for _, folder := range environments(env) {
		look(folder)
	}
	return list, looked
}

// ending is that of libraries' files.
func ending() string {
	if runtime.GOOS == "darwin" {
		return ".dylib"
	}
	return ".so"
}

// inFolder lists the plugins in a folder, which may be one of Python's packages.
func inFolder(folder string) (list []string) {
	for _, pattern := range []string{
		"*pjrt*", "*xla*plugin*", "libtpu*", // files alone
		"jax_plugins/*/*pjrt*", "jax_plugins/*/*plugin*", "xla_plugins/*/*pjrt*", "libtpu/libtpu*", "lammps_jax_pjrt_cpu/*pjrt*", "fastatomstruct_xla_cpu/*pjrt*",
	} {
		list = append(list, inside(folder, pattern+ending())...)
	}
	return list
}

// inside lists what is in a folder, whatever its name has in it.
func inside(folder, pattern string) (list []string) {
	files, _ := fs.Glob(os.DirFS(folder), pattern)
	for _, file := range files {
		list = append(list, filepath.Join(folder, filepath.FromSlash(file)))
	}
	return list
}

// packageOf says which Python package a plugin came with, by the folders that the installer makes.
func packageOf(p *Plugin) {
	folder := filepath.Dir(p.Path)
	names, root := []string{filepath.Base(folder)}, filepath.Dir(folder)
	if filepath.Base(root) == "jax_plugins" { // jax_plugins/xla_cuda13 is of jax_cuda13_pjrt
		names = append(names, "jax_"+strings.TrimPrefix(names[0], "xla_")+"_pjrt")
		root = filepath.Dir(root)
	}
	entries, _ := os.ReadDir(root)
	for _, e := range entries {
		name, version, _ := strings.Cut(strings.TrimSuffix(e.Name(), ".dist-info"), "-")
		if strings.HasSuffix(e.Name(), ".dist-info") && slices.Contains(names, name) {
			p.Package, p.Version = strings.ReplaceAll(name, "_", "-"), version
		}
	}
}

// environments are the folders of Python's packages: of the environment that is active, of those in the current folder, and of every Python in PATH.
func environments(env func(string) string) (list []string) {
	roots := []string{env("VIRTUAL_ENV"), env("CONDA_PREFIX"), ".venv", "venv"}
	for _, dir := range filepath.SplitList(env("PATH")) {
		if dir != "" && len(inside(dir, "python3*")) > 0 {
			roots = append(roots, filepath.Dir(filepath.Clean(dir)))
		}
	}
	if home, err := os.UserHomeDir(); err == nil {
		roots = append(roots, filepath.Join(home, ".local"))
	}
	for _, root := range append(roots, "/usr/local", "/usr") {
		if root == "" {
			continue
		}
		for _, pattern := range []string{"lib/python3*/site-packages", "lib64/python3*/site-packages", "lib/python3*/dist-packages", "lib/python3/dist-packages"} {
			list = append(list, inside(root, pattern)...)
		}
	}
	return list
}
