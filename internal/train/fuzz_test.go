package train

import (
	"encoding/json"
	"os"
	"testing"
)

// What a run's folder holds may be anything by the time it is read again.

func FuzzReadHistory(f *testing.F) {
	f.Add([]byte(`{"event":"step","step":1,"loss":0.5,"learning_rate":1e-3,"grad_norm":null}` + "\n" + `{"event":"eval","step":1,"metrics":{"accuracy":null}}`))
	f.Add([]byte(`{"event":"step"`))
	f.Add([]byte(`{"event":"eval","metrics":[]}`))
	f.Fuzz(func(t *testing.T, content []byte) {
		d := &Dir{root: t.TempDir()}
		if err := os.WriteFile(d.Log(), content, 0o644); err != nil {
			t.Fatal(err)
		}
		if h, err := ReadHistory(d); err == nil && len(h.Steps)+len(h.Evals) > len(content) {
			t.Errorf("%d events in %d bytes", len(h.Steps)+len(h.Evals), len(content))
		}
	})
}

func FuzzReadInfo(f *testing.F) {
	valid, err := json.Marshal(Info{Task: "sst-2", Status: Done, Config: Default, Data: map[string]string{"train": "00"}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(valid)
	f.Add([]byte(`{"config":[1,2],"data":{"a":"b"},"outcome":{"last":{"score":null}}}`))
	f.Fuzz(func(t *testing.T, content []byte) {
		d := &Dir{root: t.TempDir()}
		if err := os.WriteFile(d.info(), content, 0o644); err != nil {
			t.Fatal(err)
		}
		info, err := d.ReadInfo()
		if err != nil {
			return
		}
		if err := info.CheckSame(info); err != nil {
			t.Errorf("a run differs from itself: %v", err)
		}
	})
}
