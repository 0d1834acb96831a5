package regions

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"path/filepath"

	"github.com/unimo-go/unimo/internal/base/infile"
	"github.com/unimo-go/unimo/internal/base/names"
	"github.com/unimo-go/unimo/internal/dataset/picture"
)

// Names of files in a model's folder, or a store's: a [Spec], and the network of one that is trained.
const (
	SpecFile    = "image_processor.json"
	WeightsFile = "image_encoder.safetensors"
)

// The extractors that are not trained.
const (
	Patches    = "patches"
	Statistics = "statistics"
)

// Spec says how features are computed from pictures. Zero fields stand for defaults,
// which [NewExtractor] fills in.
type Spec struct {
	Extractor string `json:"extractor"`            // Patches, Statistics, or the family of a trained network
	ImageSize int    `json:"image_size,omitempty"` // side of the square that a picture is resized to, in pixels
	PatchSize int    `json:"patch_size,omitempty"` // of Patches: side of a patch; divides ImageSize
	Grid      int    `json:"grid,omitempty"`       // of Statistics: regions along a side, the finest level

	// Of a trained network, whose weights and configuration are in a file beside the spec's.
	Architecture  string          `json:"architecture,omitempty"` // as the library calls it that it is from
	Dim           int             `json:"dim,omitempty"`          // size of a region's feature
	Classes       []string        `json:"classes,omitempty"`      // names of what regions are taken for
	Preprocessing json.RawMessage `json:"preprocessing,omitempty"`
	Fingerprint   string          `json:"fingerprint,omitempty"` // SHA-256 of weights, configuration and preprocessing

	Weights string `json:"-"` // where a folder has the network, a [WeightsFile]; "" if none is known
}

// Trained says whether a network computes the features.
func (s Spec) Trained() bool { return s.Fingerprint != "" }

// Equal says whether two specs make the same features of the same picture.
func (s Spec) Equal(other Spec) bool {
	if s.Trained() || other.Trained() {
		return s.Fingerprint == other.Fingerprint
	}
	return s.Extractor == other.Extractor && s.ImageSize == other.ImageSize && s.PatchSize == other.PatchSize && s.Grid == other.Grid
}

// String describes the extractor in a few words.
func (s Spec) String() string {
	if s.Trained() {
		return fmt.Sprintf("%s (%s, fingerprint %.12s)", s.Architecture, s.Extractor, s.Fingerprint)
	}
	text := fmt.Sprintf("%s, image size %d", s.Extractor, s.ImageSize)
	if s.PatchSize > 0 {
		text += fmt.Sprintf(", patch size %d", s.PatchSize)
	}
	if s.Grid > 0 {
		text += fmt.Sprintf(", grid %d", s.Grid)
	}
	return text
}

// maxSpecFile bounds the size of a spec's file.
const maxSpecFile = 1 << 20

// ReadSpec reads the spec of a folder. If there is none, the error wraps fs.ErrNotExist.
func ReadSpec(dir string) (Spec, error) {
	path := filepath.Join(dir, SpecFile)
	var s Spec
	if err := infile.ReadJSON(path, maxSpecFile, &s); err != nil {
		return Spec{}, err
	}
	if err := s.Validate(); err != nil {
		return Spec{}, fmt.Errorf("%s: %w", path, err)
	}
	s.in(dir)
	return s, nil
}

// Brief returns the spec without what only opening a network needs. A model's configuration has it.
func (s Spec) Brief() Spec {
	s.Classes, s.Preprocessing, s.Weights = nil, nil, ""
	return s
}

// in notes the folder that has the spec and, of one that is trained, the network.
func (s *Spec) in(dir string) {
	if s.Trained() {
		s.Weights = filepath.Join(dir, WeightsFile)
	}
}

// Validate says what is wrong with a spec that was read.
func (s Spec) Validate() error {
	if !s.Trained() && (s.Architecture != "" || len(s.Preprocessing) > 0) {
		return fmt.Errorf("%.80q is a trained network, but has no fingerprint; copy the file from where the folder comes from", s.Extractor)
	}
	if !s.Trained() {
		_, err := NewExtractor(s)
		return err
	}
	switch sum, err := hex.DecodeString(s.Fingerprint); {
	case err != nil || len(sum) != sha256.Size:
		return fmt.Errorf("fingerprint %.80q is no SHA-256 in hexadecimal", s.Fingerprint)
	case s.Dim < 1 || s.Dim > maxDim:
		return fmt.Errorf("dim is %d; 1 to %d are possible", s.Dim, maxDim)
	case len(s.Classes) > maxClasses:
		return fmt.Errorf("%d classes; at most %d are possible", len(s.Classes), maxClasses)
	}
	return nil
}

// File returns the content of a [SpecFile].
func (s Spec) File() []byte {
	raw, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		panic(err) // texts, whole numbers, and JSON that was read or made
	}
	return append(raw, '\n')
}

// Extractor computes the regions of a picture. It may be used from several goroutines.
type Extractor interface {
	// Spec returns what the extractor was made of, with defaults filled in.
	Spec() Spec

	// Dim is the size of a region's feature.
	Dim() int

	// Prepare returns the picture in the size that Extract takes.
	Prepare(p *picture.Picture) *picture.Picture

	// Extract sets dst's size, boxes and features from a prepared picture, in the memory
	// of its slices where they are large enough, and its global feature and classes, which
	// may be nil. width and height are those of the original, and the boxes are in its pixels.
	Extract(p *picture.Picture, width, height int, dst *Image) error
}

// Changing is an extractor whose network is being trained: what it says of a picture changes from step to step. Of an image that
// is [Image.Late] it gives size, boxes and the prepared picture, and no features.
type Changing interface {
	Extractor
	// State is another number when the network has changed.
	State() uint64
}

// Limits of a spec: the largest size of a feature is that of the model's configuration.
const (
	maxImageSize = 1024
	maxRegions   = 4096
	maxDim       = 16384
	maxClasses   = 65536
)

// NewExtractor makes the extractor that a spec describes, one that is not trained:
//
//   - Patches: the whole picture resized to a square, cut into square patches from left
//     to right and from top to bottom. A patch's feature is its pixels row by row, red,
//     green and blue, each as byte/127.5-1. Defaults: image size 128, patch size 16, that
//     is 64 regions of 768 values.
//   - Statistics: 64 values of a region: its colours' means, deviations and histograms, and
//     the directions of its edges (a histogram of gradient orientations). The regions are
//     the cells of a grid, then those of grids with half as many cells a side, until one is
//     left. Defaults: image size 128, grid 6, that is 36 + 9 + 1 regions.
func NewExtractor(s Spec) (Extractor, error) {
	switch s.Extractor {
	case Patches:
		return newPatches(s)
	case Statistics:
		return newStatistics(s)
	}
	if s.Trained() {
		return nil, fmt.Errorf("%s is a trained network, which its weights make", s)
	}
	return nil, names.Unknown("extractor", s.Extractor, []string{Patches, Statistics})
}

func orDefault(v *int, value int) {
	if *v == 0 {
		*v = value
	}
}

// patches implements the extractor of pixels.
type patches struct{ spec Spec }

func newPatches(s Spec) (Extractor, error) {
	orDefault(&s.ImageSize, 128)
	orDefault(&s.PatchSize, 16)
	switch n := s.ImageSize / max(1, s.PatchSize); {
	case s.Grid != 0:
		return nil, fmt.Errorf("grid %d: patches have no grid of their own, it follows from image_size and patch_size", s.Grid)
	case s.PatchSize < 1 || s.ImageSize < 1 || s.ImageSize > maxImageSize || s.ImageSize%s.PatchSize != 0:
		return nil, fmt.Errorf("image_size %d and patch_size %d: the patch size must divide the image size, which is at most %d", s.ImageSize, s.PatchSize, maxImageSize)
	case 3*s.PatchSize*s.PatchSize > maxDim:
		return nil, fmt.Errorf("patch_size %d makes features of %d values; at most %d are possible", s.PatchSize, 3*s.PatchSize*s.PatchSize, maxDim)
	case n*n > maxRegions:
		return nil, fmt.Errorf("image_size %d and patch_size %d make %d patches; at most %d are possible", s.ImageSize, s.PatchSize, n*n, maxRegions)
	}
	return patches{s}, nil
}

func (x patches) Spec() Spec { return x.spec }
func (x patches) Dim() int   { return 3 * x.spec.PatchSize * x.spec.PatchSize }

func (x patches) Prepare(p *picture.Picture) *picture.Picture {
	return resizeTo(p, x.spec.ImageSize)
}

// resizeTo returns the picture as a square.
func resizeTo(p *picture.Picture, side int) *picture.Picture {
	if p.Width == side && p.Height == side {
		return p
	}
	return p.Resize(side, side)
}

func (x patches) Extract(p *picture.Picture, width, height int, dst *Image) error {
	size := x.spec.PatchSize
	grid := x.spec.ImageSize / size
	if p.Width != x.spec.ImageSize || p.Height != x.spec.ImageSize {
		panic(fmt.Sprintf("regions: extract from %d x %d pixels, not prepared to %d", p.Width, p.Height, x.spec.ImageSize))
	}
	dst.Width, dst.Height = float64(width), float64(height)
	dst.Boxes = gridCells(resize(dst.Boxes, 4*grid*grid)[:0], grid, grid, dst.Width, dst.Height)
	dst.Features, dst.Global, dst.Classes = resize(dst.Features, len(p.Pix)), nil, nil
	row := 3 * size // bytes of a patch's row of pixels
	at := 0
	for y := range grid {
		for x := range grid {
			for line := range size {
				from := ((y*size+line)*p.Width + x*size) * 3
				bytesToFeatures(dst.Features[at:at+row], p.Pix[from:from+row])
				at += row
			}
		}
	}
	return nil
}

// gridCells appends the boxes of columns x rows equal cells, row by row.
func gridCells(boxes []float32, columns, rows int, width, height float64) []float32 {
	for y := range rows {
		for x := range columns {
			boxes = append(boxes,
				float32(float64(x)*width/float64(columns)), float32(float64(y)*height/float64(rows)),
				float32(float64(x+1)*width/float64(columns)), float32(float64(y+1)*height/float64(rows)))
		}
	}
	return boxes
}

// featureOf is the feature value of a byte: byte/127.5-1.
var featureOf = func() (table [256]float32) {
	for i := range table {
		table[i] = float32(float64(i)/127.5 - 1)
	}
	return table
}()

// bytesToFeatures sets dst to the values of as many bytes.
func bytesToFeatures(dst []float32, src []byte) {
	src = src[:len(dst)]
	for i, b := range src {
		dst[i] = featureOf[b]
	}
}
