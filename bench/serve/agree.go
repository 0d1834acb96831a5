package main

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
)

// parseVector reads a list of numbers, or base64 of little-endian float32.
func parseVector(raw json.RawMessage) ([]float32, error) {
	var v []float32
	if len(raw) == 0 || raw[0] != '"' {
		err := json.Unmarshal(raw, &v)
		return v, err
	}
	var text string
	if err := json.Unmarshal(raw, &text); err != nil {
		return nil, err
	}
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(b)%4 != 0 {
		return nil, fmt.Errorf("a vector is no base64 of float32 (%w)", err)
	}
	v = make([]float32, len(b)/4)
	for i := range v {
		v[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
	}
	return v, nil
}

// sampleSize are the sentences whose vectors are compared.
const sampleSize = 64

// agreement is the largest distance (1 - cosine) between the vectors of the same sentences from two servers.
func agreement(ctx context.Context, a, b *server, sentences []string, format string) (float64, error) {
	worst := 0.0
	for at := 0; at < sampleSize; at += 32 {
		texts := sentences[at : at+32]
		x, err := a.vectors(ctx, texts, format)
		if err != nil {
			return 0, err
		}
		y, err := b.vectors(ctx, texts, format)
		if err != nil {
			return 0, err
		}
		for i := range x {
			d, err := distance(x[i], y[i])
			if err != nil {
				return 0, err
			}
			worst = max(worst, d)
		}
	}
	return worst, nil
}

// distance is 1 less the cosine of two vectors.
func distance(a, b []float32) (float64, error) {
	if len(a) != len(b) || len(a) == 0 {
		return 0, fmt.Errorf("vectors of %d and %d values", len(a), len(b))
	}
	var ab, aa, bb float64
	for i := range a {
		x, y := float64(a[i]), float64(b[i])
		ab, aa, bb = ab+x*y, aa+x*x, bb+y*y
	}
	return 1 - ab/math.Sqrt(aa*bb), nil
}
