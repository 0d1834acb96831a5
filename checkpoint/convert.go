package checkpoint

import (
	"context"
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

// Convert writes all tensors of src to dst, which must not exist, in the given format. Names, types,
// shapes and bytes stay as they are. Metadata survives where the format has it; if safetensors is
// written without, it says "format": "pt". Files of src that hold no tensor are not copied. dst is
// written whole or not at all.
//
// Only one tensor at a time is in memory, unless src holds them all. Beyond what [WriteSafetensors]
// asks for, Paddle's formats need names that can be those of files, and types of Paddle's: neither
// U16, U32 nor U64. PaddlePaddle 1.8 itself does not know BF16, complex and 8-bit floating-point
// numbers.
//
// The error wraps [io/fs.ErrExist] if dst exists, and ctx's error if that ends.
func Convert(ctx context.Context, src Reader, dst string, format Format) error {
	dst = filepath.Clean(dst) // "DIR/" would have itself for a parent
	if _, err := os.Lstat(dst); err == nil {
		return fmt.Errorf("convert to %s: %w; remove it or choose another name", dst, fs.ErrExist)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("convert to %s: %w", dst, err)
	}
	infos := src.Tensors()
	fetch := func(i int) ([]byte, error) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		return src.Bytes(infos[i].Name)
	}
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

// GuessFormat chooses the format in which [Convert] writes src to dst, by the name of dst:
//
//	*.safetensors      FormatSafetensors
//	*.tar.gz, *.tgz    FormatPaddleArchive
//	without an ending  a folder: FormatPaddle if src is safetensors, otherwise FormatSafetensorsFolder
//	another ending     none, such as .bin, .pt, .onnx, .gguf: ok is false
//
// A separator behind the name says that it is a folder, whatever its ending; a number ("model-v1.2") is
// no ending.
func GuessFormat(dst string, src Reader) (format Format, ok bool) {
	if dst == "" {
		return "", false
	}
	name := strings.ToLower(filepath.Base(dst))
	switch {
	case strings.HasSuffix(name, ".safetensors"):
		return FormatSafetensors, true
	case strings.HasSuffix(name, ".tar.gz"), strings.HasSuffix(name, ".tgz"):
		return FormatPaddleArchive, true
	case !os.IsPathSeparator(dst[len(dst)-1]) && strings.Trim(filepath.Ext(strings.TrimLeft(name, ".")), ".0123456789") != "":
		return "", false
	case src.Format() == FormatSafetensors || src.Format() == FormatSafetensorsFolder:
		return FormatPaddle, true
	}
	return FormatSafetensorsFolder, true
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
