package store

import (
	"testing"

	"github.com/unimo-go/unimo/internal/test/weaviate"
)

// TestWeaviate runs against two real servers; the tests of package weaviate against what one has answered.
func TestWeaviate(t *testing.T) {
	one, two := weaviate.Start(t), weaviate.Start(t)
	k := kind{
		beside: func(t *testing.T, url string) {
			one.Do(t, "POST", "/v1/schema", `{"class": "Mine", "vectorizer": "none"}`)
			one.Do(t, "POST", "/v1/objects", `{"class": "Mine", "id": "00000000-0000-0000-0000-000000000001", "vector": [1]}`)
		},
		untouched: func(t *testing.T, url string) {
			one.Do(t, "GET", "/v1/objects/Mine/00000000-0000-0000-0000-000000000001", "")
		},
	}
	k.test(t, stopping{one}, stopping{two})
}

// stopping is a server that is not killed but stopped: after a crash Weaviate 1.35.2 may have objects that a search no longer finds.
type stopping struct{ *weaviate.Server }

func (s stopping) Kill() { s.Stop() }
