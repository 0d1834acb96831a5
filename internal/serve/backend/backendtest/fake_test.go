package backendtest_test

import (
	"bytes"
	"context"
	"image/png"
	"testing"

	"github.com/unimo-go/unimo/internal/serve/backend"
	"github.com/unimo-go/unimo/internal/serve/backend/backendtest"
)

func TestFake(t *testing.T) {
	var models backend.Models = backendtest.New()
	m, err := models.Model("")
	if err != nil {
		t.Fatal(err)
	}
	raw, err := m.Picture(context.Background(), "a.png")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := png.Decode(bytes.NewReader(raw)); err != nil {
		t.Error(err)
	}
	if _, err := models.Model("other"); backend.AsError(err).Kind != backend.NotFound {
		t.Error(err)
	}
}
