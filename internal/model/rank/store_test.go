package rank

import (
	"cmp"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// memory is a database in memory. It answers as a server would, from what it has.
type memory struct {
	collection Collection
	rows       Rows
	broken     error // of an update
	sent       []string
	closed     int
	open       error
}

func (m *memory) Close() error   { m.closed++; return nil }
func (m *memory) URLs() []string { return []string{"memory://ada@here"} }
func (m *memory) Drop(context.Context) error {
	m.rows = Rows{}
	return nil
}

func (m *memory) Revision() string {
	if m.rows.IDs == nil {
		return ""
	}
	return m.rows.Revision()
}

func (m *memory) Nearest(_ context.Context, query []float32, k int) ([]Neighbor, error) {
	var list []Neighbor
	for i, id := range m.rows.IDs {
		n := Neighbor{ID: id, Origin: m.rows.Origins[i]}
		for j, v := range m.rows.Vector(i) {
			n.Score += v * query[j]
		}
		list = append(list, n)
	}
	slices.SortStableFunc(list, func(a, b Neighbor) int { return cmp.Compare(b.Score, a.Score) })
	return list[:min(k, len(list))], nil
}

func (m *memory) Update(_ context.Context, rows Rows, tick func(done, total int)) (int, error) {
	if m.broken != nil {
		return 0, m.broken
	}
	m.sent = nil
	for i, id := range rows.IDs {
		if k := slices.Index(m.rows.IDs, id); k < 0 || m.rows.Origins[k] != rows.Origins[i] {
			m.sent = append(m.sent, id)
		}
	}
	m.rows = Rows{slices.Clone(rows.IDs), slices.Clone(rows.Origins), slices.Clone(rows.Vectors), rows.Size}
	return len(m.sent), nil
}

func (m *memory) opener(_ context.Context, _ []string, c Collection) (Database, error) {
	m.collection = c
	return m, m.open
}

func (f fixture) store(m *memory, dir string, urls ...string) (IndexInfo, error) {
	return f.scorer.WriteIndex(context.Background(), dir, f.set.Images.Source, IndexOptions{
		Model: "digest", Source: "pictures", Stores: urls, OpenStore: m.opener, Texts: f.set.Texts, Bad: func(_ string, err error) error { return err },
	})
}

// searched are the ids that a search for the fixture's texts finds.
func (f fixture) searched(t *testing.T, m *memory, dir string, k int) (ids [][]string, differs bool) {
	t.Helper()
	ix := open(t, dir)
	differs, err := ix.Connect(t.Context(), m.opener)
	if err != nil {
		t.Fatal(err)
	}
	s, err := NewSearcher(f.scorer, ix)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range f.set.Texts {
		found, err := s.Text(t.Context(), text, k, 3)
		if err != nil {
			t.Fatal(err)
		}
		var list []string
		for _, x := range found {
			list = append(list, x.ID)
		}
		ids = append(ids, list)
	}
	return ids, differs
}

// A search through a database finds what the index in the folder finds.
func TestSearchInAStore(t *testing.T) {
	f, m, dir := newFixture(t, 12, 1), &memory{}, filepath.Join(t.TempDir(), "index")
	f.index(t, dir, "digest")
	want, _ := f.searched(t, m, dir, 5)
	info, err := f.store(m, dir, "memory://ada:secret@here")
	if err != nil {
		t.Fatal(err)
	}
	if s := info.Store; s == nil || s.Sent != 12 || s.Recall != 1 || s.Queries != 24 || !s.Filled {
		t.Errorf("%+v", info.Store)
	}
	if text := read(t, filepath.Join(dir, storeFile)); strings.Contains(text, "secret") || !strings.Contains(text, "memory://ada@here") {
		t.Errorf("%s", text)
	}
	if got, differs := f.searched(t, m, dir, 5); differs || !slices.EqualFunc(got, want, slices.Equal) {
		t.Errorf("found %v, want %v (differs: %v)", got, want, differs)
	}
	if got, _ := f.searched(t, m, dir, 1<<62); len(got[0]) != 12 {
		t.Errorf("%d of all", len(got[0]))
	}
	// The same command again, which need not name the store.
	src := f.set.Images.Source.(*memorySource)
	src.images = append(src.images[:2:2], src.images[3:]...)
	src.images[5].Features[0]++
	if info, err = f.store(m, dir); err != nil || info.Store.Sent != 1 || info.Computed != 1 || m.sent[0] != src.images[5].ID || len(m.rows.IDs) != 11 {
		t.Errorf("%+v, %v, sent %v", info, err, m.sent)
	}
	if m.closed == 0 {
		t.Error("the database was not closed")
	}
	// A program without clients of databases.
	ix := open(t, dir)
	if _, err := ix.Connect(t.Context(), nil); err == nil || !strings.Contains(err.Error(), "unimo.Stores") {
		t.Errorf("error %v", err)
	}
	// Out of the database again.
	_, err = f.scorer.WriteIndex(t.Context(), dir, src, IndexOptions{Model: "digest", Source: "pictures", OpenStore: m.opener, NoStore: true})
	if _, gone := os.Stat(filepath.Join(dir, storeFile)); err != nil || m.rows.IDs != nil || !errors.Is(gone, os.ErrNotExist) {
		t.Errorf("%v, %v, %v", err, m.rows.IDs, gone)
	}
	if got, _ := f.searched(t, &memory{open: errors.New("nobody asks it")}, dir, 5); len(got[0]) != 5 {
		t.Errorf("%v", got)
	}
}

// Where an update was interrupted, what index and database do not both have is left out, and as many as are wanted are found among the others.
func TestSearchInAStoreOfAnotherState(t *testing.T) {
	f, m, dir := newFixture(t, 12, 1), &memory{}, filepath.Join(t.TempDir(), "index")
	if _, err := f.store(m, dir, "memory://here"); err != nil {
		t.Fatal(err)
	}
	all, _ := f.searched(t, m, dir, 12)
	for i := range 6 {
		m.rows.Origins[i][0]++
	}
	m.rows.IDs[7] = "unknown.png"
	got, differs := f.searched(t, m, dir, 5)
	if !differs {
		t.Error("that they differ is not said")
	}
	for i, list := range got {
		if len(list) != 5 || len(all[i]) != 12 {
			t.Errorf("%v of %v", list, all[i])
		}
		for _, id := range list {
			if id == "unknown.png" || id < "0006.png" || id == "0007.png" {
				t.Errorf("found %s", id)
			}
		}
	}
}

// Until a database was filled the folder is searched, and a command that failed goes on.
func TestStoreIsFilledLater(t *testing.T) {
	f, m, dir := newFixture(t, 6, 1), &memory{open: errors.New("connection refused")}, filepath.Join(t.TempDir(), "index")
	if _, err := f.store(m, dir, "memory://here"); err == nil || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("error %v", err)
	}
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 1 { // its lock
		t.Errorf("something was written before the database answered: %v", entries)
	}
	m.open, m.broken = nil, errors.New("disk full")
	f.index(t, dir, "digest")
	if _, err := f.store(m, dir, "memory://here"); err == nil || !strings.Contains(err.Error(), "disk full") {
		t.Errorf("error %v", err)
	}
	name := m.collection.Index
	if got, _ := f.searched(t, &memory{open: errors.New("nobody asks it")}, dir, 3); len(got[0]) != 3 {
		t.Errorf("%v", got)
	}
	m.broken = nil
	if info, err := f.store(m, dir); err != nil || info.Store.Sent != 6 || m.collection.Index != name || m.collection.Size != 8 || m.collection.Model != "digest" {
		t.Errorf("%+v, %v, %+v", info.Store, err, m.collection)
	}
	m.rows = Rows{} // somebody dropped the table
	if _, err := open(t, dir).Connect(t.Context(), m.opener); err == nil || !strings.Contains(err.Error(), "unimo index") {
		t.Errorf("error %v", err)
	}
}

func TestBadStoreFile(t *testing.T) {
	f, m, dir := newFixture(t, 3, 1), &memory{}, filepath.Join(t.TempDir(), "index")
	if _, err := f.store(m, dir, "memory://here"); err != nil {
		t.Fatal(err)
	}
	for content, want := range map[string]string{
		`{`: "again", `{"version": 2}`: "version 2",
		`{"version": 1, "index": "'; DROP TABLE x", "urls": ["memory://here"]}`: "damaged",
		`{"version": 1, "index": "0123456789abcdef"}`:                           "damaged",
	} {
		write(t, filepath.Join(dir, storeFile), content)
		_, err := f.store(m, dir)
		_, other := open(t, dir).Connect(t.Context(), m.opener)
		for _, err := range []error{err, other} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: error %v, want one with %q", content, err, want)
			}
		}
	}
}
