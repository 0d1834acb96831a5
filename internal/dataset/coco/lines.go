package coco

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/unimo-go/unimo/internal/base/infile"
	"github.com/unimo-go/unimo/internal/base/textfile"
	"github.com/unimo-go/unimo/internal/dataset/batches"
	"github.com/unimo-go/unimo/internal/dataset/regions"
)

// Line is one of the reference's lines: an image and a caption of it. Both are valid until the next.
type Line struct {
	Image   *regions.Image // its id without what stands before it
	Caption string         // the caption's id
	Tokens  []int32        // [CLS] first and [SEP] last; none where a caption is to be written
}

// The fields of a line, which have ";" between. The others are not used.
const (
	fieldImage = iota
	fieldCaption
	fieldTokens
	fieldSentences
	fieldPositions
	fieldHeight   = 8 // the height comes first
	fieldWidth    = 9
	fieldBoxCount = 10
	fieldBoxes    = 11
	fieldClasses  = 12
	fieldFeatures = 14
	lineFields    = 16
)

const (
	idPrefix     = 9 // characters before an image's id, such as "coco2014_"
	targetMarker = 1 // the sentence id of a caption's tokens
)

const lineRemedy = `correct the line or remove it; it has 16 fields with ";" between: image, caption, tokens, sentence ids, position ids, three that are not used, ` +
	`height, width, number of boxes, boxes, probabilities, another that is not used, features, label`

// IsLine says whether a line looks like one of the reference's.
func IsLine(line []byte) bool { return bytes.Count(line, []byte{';'}) == lineFields-1 }

// ReadLines calls each with every line of a file, plain or packed (.gz).
func ReadLines(path string, each func(l Line, number int) error) error {
	return textfile.WithUnpacked(path, func(in io.Reader) error { return scanLines(infile.Text(in, path), path, each) })
}

func scanLines(in io.Reader, path string, each func(l Line, number int) error) error {
	var im regions.Image
	for lines := textfile.NewLines(in, path); ; {
		raw, err := lines.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if len(bytes.TrimSpace(raw)) == 0 {
			continue
		}
		l, err := parseLine(raw, &im)
		if err != nil {
			return &textfile.FileError{File: path, Line: lines.Number(), Problem: err.Error(), Remedy: lineRemedy, Err: err}
		}
		if err := each(l, lines.Number()); err != nil {
			return err
		}
	}
}

// parseLine reads a line, the image into the memory of im.
func parseLine(raw []byte, im *regions.Image) (Line, error) {
	fields := bytes.Split(bytes.TrimSpace(raw), []byte{';'})
	if len(fields) != lineFields {
		return Line{}, fmt.Errorf("has %d fields, not %d", len(fields), lineFields)
	}
	id := string(fields[fieldImage])
	if len(id) <= idPrefix {
		return Line{}, fmt.Errorf("image %s is no id behind %d characters, as coco2014_000000000017 is", textfile.Quote(id), idPrefix)
	}
	im.ID = id[idPrefix:]
	l := Line{Image: im, Caption: string(fields[fieldCaption])}
	var err error
	if l.Tokens, err = parseTokens(string(fields[fieldTokens]), string(fields[fieldSentences]), string(fields[fieldPositions]), targetMarker); err != nil {
		return Line{}, err
	}
	return l, parseImage(fields, im)
}

// parseTokens reads tokens with their sentence ids, which are all sentence, and positions, which count up: what the model takes them to be.
func parseTokens(tokens, sentences, positions string, sentence int32) ([]int32, error) {
	var lists [3][]int32
	for i, text := range []string{tokens, sentences, positions} {
		for field := range strings.FieldsSeq(text) {
			id, err := strconv.ParseInt(field, 10, 32)
			if err != nil || id < 0 {
				return nil, fmt.Errorf("%s is no id of a token, sentence or position", textfile.Quote(field))
			}
			lists[i] = append(lists[i], int32(id))
		}
		if len(lists[i]) != len(lists[0]) {
			return nil, fmt.Errorf("has %d tokens, but %d ids of sentences or positions", len(lists[0]), len(lists[i]))
		}
	}
	for i := range lists[0] {
		if lists[1][i] != sentence || lists[2][i] != int32(i)+batches.FirstPosition {
			return nil, fmt.Errorf("token %d has sentence %d and position %d, not %d and %d", i+1, lists[1][i], lists[2][i], sentence, i+batches.FirstPosition)
		}
	}
	return lists[0], nil
}

func parseImage(fields [][]byte, im *regions.Image) error {
	var size [2]float64
	for i, field := range []int{fieldWidth, fieldHeight} {
		v, err := strconv.ParseFloat(string(fields[field]), 64)
		if err != nil || math.IsNaN(v) {
			return fmt.Errorf("width or height %s is no number", textfile.Quote(string(fields[field])))
		}
		size[i] = v
	}
	im.Width, im.Height = size[0], size[1]
	n, err := strconv.Atoi(string(fields[fieldBoxCount]))
	if err != nil || n < 1 {
		return fmt.Errorf("number of boxes %s is no whole number from 1 on", textfile.Quote(string(fields[fieldBoxCount])))
	}
	if im.Boxes, err = regions.DecodeFloats(im.Boxes, fields[fieldBoxes]); err != nil {
		return fmt.Errorf("boxes: %w", err)
	}
	if im.Features, err = regions.DecodeFloats(im.Features, fields[fieldFeatures]); err != nil {
		return fmt.Errorf("features: %w", err)
	}
	// The reference does not look at probabilities; some files have others than of classes.
	if im.Classes, err = regions.DecodeFloats(im.Classes, fields[fieldClasses]); err != nil || len(im.Classes) <= n || len(im.Classes)%n != 0 {
		im.Classes = nil
	}
	if len(im.Boxes) != 4*n || len(im.Features)%n != 0 || len(im.Features) == 0 {
		return fmt.Errorf("%d boxes have %d coordinates and %d feature values", n, len(im.Boxes), len(im.Features))
	}
	return im.Check(len(im.Features) / n)
}
