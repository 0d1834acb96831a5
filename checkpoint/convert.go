package checkpoint

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/unimo-go/unimo/internal/base/atomicfile"
	"github.com/unimo-go/unimo/internal/base/names"
)

// metadataFormat is the entry of the metadata without which Hugging Face's
// transformers refuses a file; "pt" is what it expects of torch's tensors.
const metadataFormat = "format"

// Convert writes all tensors of src to dst, which must not exist, in the given
// format; an empty format means what [GuessFormat] says. Names, types, shapes and
// bytes stay as they are. Metadata survives where the format has it; if
// safetensors is written without, it says "format": "pt". Unrecognised files of
// src are not copied.
//
// Only one tensor at a time is in memory, unless src holds them all.
func Convert(src Reader, dst string, format Format) error {
	given := dst
	dst = filepath.Clean(dst) // "DIR/" would have itself for a parent
	if format == "" {
		if format = GuessFormat(given, src); format == "" {
			return fmt.Errorf("convert to %s: the name does not say a format that can be written; end it with .safetensors or .tar.gz, or name a folder", dst)
		}
	}
	if _, err := os.Lstat(dst); err == nil {
		return fmt.Errorf("convert to %s: it exists already; remove it or choose another name", dst)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("convert to %s: %w", dst, err)
	}
	infos := src.Tensors()
	fetch := func(i int) ([]byte, error) { return src.Bytes(infos[i].Name) }
	metadata := src.Metadata()
	if metadata[metadataFormat] == "" {
		metadata[metadataFormat] = "pt"
	}
	switch format {
	case FormatSafetensors:
		return writeSafetensors(dst, infos, metadata, fetch)
	case FormatSafetensorsFolder:
		return atomicfile.WriteDir(dst, func(tmp string) error {
			return writeSafetensors(filepath.Join(tmp, singleFile), infos, metadata, fetch)
		})
	case FormatPaddle:
		return writePaddleDir(dst, infos, fetch)
	case FormatPaddleArchive:
		return writePaddleTarGz(dst, topFolder(dst), infos, fetch)
	}
	return fmt.Errorf("convert to %s: %w", dst, names.Unknown("format", string(format),
		[]string{string(FormatSafetensors), string(FormatSafetensorsFolder), string(FormatPaddle), string(FormatPaddleArchive)}))
}

// GuessFormat chooses the format for a destination by its name:
//
//	*.safetensors      safetensors
//	*.tar.gz, *.tgz    paddle-tar.gz
//	another ending     none (""): such as .bin, .pt, .onnx, .gguf, which cannot be written
//	without an ending  a folder, of the other kind than src: paddle if src is
//	                   safetensors, otherwise safetensors-folder
//
// A separator behind the name says that it is a folder, whatever its ending; a number
// ("model-v1.2") is none.
func GuessFormat(dst string, src Reader) Format {
	if dst == "" {
		return ""
	}
	name := strings.ToLower(filepath.Base(dst))
	switch {
	case strings.HasSuffix(name, ".safetensors"):
		return FormatSafetensors
	case strings.HasSuffix(name, ".tar.gz"), strings.HasSuffix(name, ".tgz"):
		return FormatPaddleArchive
	case !os.IsPathSeparator(dst[len(dst)-1]) && strings.Trim(filepath.Ext(strings.TrimLeft(name, ".")), ".0123456789") != "":
		return ""
	case strings.HasPrefix(src.Format(), string(FormatSafetensors)): // the folder's name begins with it
		return FormatPaddle
	}
	return FormatSafetensorsFolder
}

// topFolder returns the folder in an archive: the archive's name without its
// ending, as in the released unimo_base_en.tar.gz, or none if that is no name.
func topFolder(archive string) string {
	name := filepath.Base(archive)
	for _, ending := range []string{".tar.gz", ".tgz"} {
		if cut := len(name) - len(ending); cut > 0 && strings.EqualFold(name[cut:], ending) {
			name = name[:cut]
		}
	}
	if checkFileName(name) != nil {
		return ""
	}
	return name
}
