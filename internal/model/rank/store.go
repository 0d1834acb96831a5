package rank

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/unimo-go/unimo/internal/base/atomicfile"
	"github.com/unimo-go/unimo/internal/base/infile"
	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/dataset/regions"
)

// Store finds the pictures whose vectors are nearest to a query: those with the largest inner products.
type Store interface {
	// Nearest returns the k nearest, the best first, or all where there are no more.
	Nearest(ctx context.Context, query []float32, k int) ([]Neighbor, error)
	Close() error
}

// Neighbor is a picture near a query.
type Neighbor struct {
	ID     string
	Origin Origin
	Score  float32 // the inner product
}

// Origin is the digest of what the regions of a picture, and so its vector, were made of.
type Origin = [sha256.Size]byte

// Database is a store outside of the program, which keeps the vectors of an index: one server, or several that share them.
type Database interface {
	Store
	URLs() []string // of the servers, without passwords
	// Revision is that of the rows that the servers had when the database was opened; "" if one of them has none.
	Revision() string
	// Update makes what the servers have of the index equal to rows. A server has the old rows or the new, and the error says
	// which server has refused; then the same call is to be made again. It returns how many vectors were sent.
	Update(ctx context.Context, rows Rows, tick func(done, total int)) (sent int, err error)
	// Drop removes what the servers have of the index.
	Drop(ctx context.Context) error
}

// Collection is what a database keeps of an index.
type Collection struct {
	Index string // its name, of hexadecimal digits: no two indexes share one
	Model string // the digest of the model that makes the vectors
	Size  int    // values of a vector
	About string // what the pictures are, for people who look into the database
}

// OpenStore connects to the servers of a database, and says at once what they lack.
type OpenStore func(ctx context.Context, urls []string, c Collection) (Database, error)

// Rows are the vectors of an index with what they are of.
type Rows struct {
	IDs     []string
	Origins []Origin
	Vectors []float32 // behind each other
	Size    int       // values of a vector
}

// Vector returns that of row i.
func (r Rows) Vector(i int) []float32 { return r.Vectors[i*r.Size : (i+1)*r.Size] }

// Revision is a digest of what the vectors are of.
func (r Rows) Revision() string {
	h := sha256.New()
	for i, id := range r.IDs {
		fmt.Fprintf(h, "%q %x\n", id, r.Origins[i])
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// Exact finds the nearest of some rows: every vector is looked at.
type Exact struct {
	dev   engine.Device
	rows  Rows
	items *engine.Tensor // the rows' vectors, in the device's memory
}

// NewExact returns a store of rows on a device. Close frees what it has there.
func NewExact(dev engine.Device, rows Rows) *Exact {
	return &Exact{dev, rows, dev.Wrap(len(rows.Vectors)/rows.Size, rows.Size, rows.Vectors)}
}

// Nearest implements [Store].
func (x *Exact) Nearest(ctx context.Context, query []float32, k int) ([]Neighbor, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	dev := x.dev.Fork() // several queries may be looked for at a time
	products := similarities(dev, query, x.items)
	looked := dev.Wrap(1, len(products), products)
	defer dev.Free(looked)
	if sum := engine.SumSquares(dev, looked); sum-sum != 0 { // the query's vector was looked at
		return nil, fmt.Errorf("the index holds vectors that are not numbers, as a broken model or a damaged file gives; remove its folder and make it again")
	}
	hits := best(dev.Limit(), products, k)
	list := make([]Neighbor, len(hits))
	for i, h := range hits {
		list[i] = Neighbor{x.rows.IDs[h.Number], x.rows.Origins[h.Number], h.Score}
	}
	return list, nil
}

// Close implements [Store].
func (x *Exact) Close() error {
	engine.Guard(func() error { // of a device that is lost there is nothing to free
		x.dev.Free(x.items)
		return nil
	})
	x.items = nil
	return nil
}

// StoreError is the error of a database, which may answer later.
type StoreError struct{ Err error }

func (e *StoreError) Error() string { return e.Err.Error() }
func (e *StoreError) Unwrap() error { return e.Err }

// current finds in a database what the open index has, too: an update may have changed the one and not yet the other.
type current struct {
	Database
	origins map[string]Origin
}

// Nearest implements [Store].
func (c current) Nearest(ctx context.Context, query []float32, k int) ([]Neighbor, error) {
	k = min(k, len(c.origins))
	for ask := k; ; ask *= 2 {
		list, err := c.Database.Nearest(ctx, query, ask)
		if err != nil {
			return nil, &StoreError{err}
		}
		all := len(list) < ask
		list = slices.DeleteFunc(list, func(n Neighbor) bool {
			origin, ok := c.origins[n.ID]
			return !ok || origin != n.Origin
		})
		if all || len(list) >= k {
			return list[:min(k, len(list))], nil
		}
	}
}

// StoreInfo is what store.json says: where the vectors of an index are, besides its folder.
type StoreInfo struct {
	Version int      `json:"version"`
	Index   string   `json:"index"`     // the name of what the servers have of it
	URLs    []string `json:"urls"`      // of the servers, without passwords
	Filled  bool     `json:"filled"`    // the vectors have been there once; until then the folder alone is searched
	Sent    int      `json:"sent"`      // vectors that the last command sent, as they were new or had changed
	Recall  float64  `json:"recall@20"` // of the 20 nearest of some queries the part that the database found
	Queries int      `json:"queries"`
}

const (
	storeVersion = 1
	storeFile    = "store.json"
	recallOf20   = 20
)

// readStoreInfo reads store.json of the index dir; nil if it has none.
func readStoreInfo(dir string) (*StoreInfo, error) {
	path := filepath.Join(dir, storeFile)
	info := new(StoreInfo)
	if err := infile.ReadJSON(path, maxIndexFile, info); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("%w (or make the index again)", err)
	}
	if info.Version != storeVersion {
		return nil, fmt.Errorf("%s has version %d, this program reads %d; remove it and name the store again (index --store)", path, info.Version, storeVersion)
	}
	if id, err := hex.DecodeString(info.Index); err != nil || len(id) != 8 || len(info.URLs) == 0 {
		return nil, fmt.Errorf("%s is damaged; remove it and name the store again (index --store)", path)
	}
	return info, nil
}

func (i *StoreInfo) write(dir string) error {
	raw, err := json.MarshalIndent(i, "", "  ")
	if err != nil {
		return fmt.Errorf("index %s: %w", dir, err)
	}
	return atomicfile.WriteBytes(filepath.Join(dir, storeFile), append(raw, '\n'))
}

// database opens the one that o names, or else the one that the index dir has; nil for none. Its place is noted in the folder before
// anything is sent there, so that whoever goes on finds it again.
func (o *IndexOptions) database(ctx context.Context, dir string, size int) (Database, *StoreInfo, error) {
	info, err := readStoreInfo(dir)
	if err != nil || info == nil && len(o.Stores) == 0 {
		return nil, nil, err
	}
	urls := o.Stores
	if len(urls) == 0 {
		urls = info.URLs
	}
	if info == nil {
		id := make([]byte, 8)
		rand.Read(id)
		info = &StoreInfo{Version: storeVersion, Index: hex.EncodeToString(id)}
	}
	db, err := connect(ctx, dir, o.OpenStore, urls, Collection{Index: info.Index, Model: o.Model, Size: size, About: regions.Place(o.Source)})
	if err != nil && o.NoStore {
		err = fmt.Errorf("%w (to forget the database as it is, remove %s)", err, filepath.Join(dir, storeFile))
	}
	if err != nil {
		return nil, nil, err
	}
	if at := db.URLs(); !slices.Equal(at, info.URLs) {
		info.URLs, info.Filled = at, false
	}
	return db, info, nil
}

func connect(ctx context.Context, dir string, open OpenStore, urls []string, c Collection) (Database, error) {
	if open == nil {
		return nil, fmt.Errorf("the vectors of index %s are in %s; open it with the option unimo.Stores", dir, strings.Join(urls, ", "))
	}
	db, err := open(ctx, urls, c)
	if err != nil {
		return nil, fmt.Errorf("index %s: %w", dir, err)
	}
	return db, nil
}

// fill brings the database up to date, and measures what it finds.
func (s *Scorer) fill(ctx context.Context, dir string, db Database, info *StoreInfo, rows Rows, o IndexOptions) (err error) {
	if err := info.write(dir); err != nil {
		return err
	}
	if info.Sent, err = db.Update(ctx, rows, func(done, total int) { o.Tick("store", done, total) }); err != nil {
		return fmt.Errorf("index %s: %w", dir, err)
	}
	texts, err := s.TextVectors(ctx, o.Texts, func(int, int) {})
	if err != nil {
		return err
	}
	exact := NewExact(s.dev, rows)
	defer exact.Close()
	if info.Recall, info.Queries, err = recall(ctx, exact, db, texts, func(done, total int) { o.Tick("recall", done, total) }); err != nil {
		return fmt.Errorf("index %s: %w", dir, err)
	}
	info.Filled = true
	return info.write(dir)
}

// recall returns which part of the 20 pictures nearest to queries a store finds: to the texts of these vectors, and to as many pictures of x.
func recall(ctx context.Context, x *Exact, store Store, texts []float32, tick func(done, total int)) (found float64, queries int, err error) {
	size := x.rows.Size
	number := make(map[string]int32, len(x.rows.IDs))
	for i, id := range x.rows.IDs {
		number[id] = int32(i)
	}
	all := slices.Clone(texts)
	pictures := min(len(texts)/size, len(x.rows.IDs))
	for i := range pictures {
		all = append(all, x.rows.Vector(i*len(x.rows.IDs)/pictures)...)
	}
	wanted, got := 0, 0
	queries = len(all) / size
	for i := range queries {
		query := all[i*size : (i+1)*size]
		products := similarities(x.dev, query, x.items)
		right := best(x.dev.Limit(), products, recallOf20)
		list, err := store.Nearest(ctx, query, recallOf20)
		if err != nil {
			return 0, 0, err
		}
		last := right[len(right)-1].Score
		wanted += len(right)
		for _, n := range list {
			if k, ok := number[n.ID]; ok && products[k] >= last { // of equal ones any is right
				got++
			}
		}
		tick(i+1, queries)
	}
	return float64(got) / float64(max(1, wanted)), queries, nil
}

// Connect has the index searched in its database, if it has one that was filled. differs says that the two are not of the same pictures, as where an
// update was interrupted: what is not the same in both is left out.
func (ix *Index) Connect(ctx context.Context, open OpenStore) (differs bool, err error) {
	info, err := readStoreInfo(ix.dir)
	if err != nil || info == nil || !info.Filled {
		return false, err
	}
	ix.database, err = connect(ctx, ix.dir, open, info.URLs, Collection{Index: info.Index, Model: ix.Info.Model, Size: ix.Info.Size, About: ix.Info.Source})
	if err != nil {
		return false, err
	}
	if ix.database.Revision() == "" {
		return false, fmt.Errorf("index %s: %s has no vectors of it; run \"unimo index\" again", ix.dir, strings.Join(ix.database.URLs(), ", "))
	}
	return ix.database.Revision() != ix.rows().Revision(), nil
}

// dropStore removes what a database has of the index dir, and its place.
func dropStore(ctx context.Context, dir string, db Database) error {
	if err := db.Drop(ctx); err != nil {
		return fmt.Errorf("index %s: %w", dir, err)
	}
	return os.Remove(filepath.Join(dir, storeFile))
}
