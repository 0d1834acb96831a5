// Package weaviate keeps the vectors of an index in a Weaviate, over its REST and GraphQL interfaces.
//
// Weaviate has no transactions. So an object's id is made of a picture's id and its origin: what is new goes beside what is there, and who
// searches tells them apart by the origin. When all is there the collection's description names the new revision, and then what is gone is
// deleted. What an interrupted update has sent is found by the next one.
package weaviate

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/unimo-go/unimo/internal/model/rank"
	"github.com/unimo-go/unimo/internal/store/server"
)

// Scheme begins the scheme of a Weaviate's URL: weaviate+http or weaviate+https.
const Scheme = "weaviate+"

// KeyVariable is the environment variable with the API key, or a token of OpenID Connect.
const KeyVariable = "WEAVIATE_API_KEY"

// How an HNSW index is built; how it is searched is Weaviate's own choice, by the number of pictures that are asked for.
const (
	connections  = 16  // maxConnections
	construction = 128 // efConstruction
)

const (
	connectTimeout = 10 * time.Second
	patience       = 2 * time.Minute // for one request of an update
	page           = 1000            // ids in one answer
	block          = 500             // objects in one message, at most
	blockValues    = 1 << 17         // values in one message, at most
)

type client struct {
	server.Part
	api
	collection string
	factor     int // replicas, when the collection is made; 0 for what the server does by itself
	revision   string
	vectors    atomic.Int64 // which it is to have at least
}

// Connect connects to the server at a URL.
func Connect(ctx context.Context, address string, p server.Part) (server.Server, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, errors.New("its URL cannot be used; want one such as weaviate+http://db.example:8080") // the error quotes it
	}
	if u.User != nil {
		return nil, fmt.Errorf("its URL has a user; the API key comes from the environment variable %s", KeyVariable)
	}
	if u.Host == "" {
		return nil, errors.New("its URL has no host; want one such as weaviate+http://db.example:8080")
	}
	name := p.Name()
	c := &client{Part: p, collection: strings.ToUpper(name[:1]) + name[1:], api: api{key: os.Getenv(KeyVariable)}}
	for key, values := range u.Query() {
		n, err := strconv.Atoi(values[0])
		if key != "replicas" || len(values) > 1 || err != nil || n < 1 {
			return nil, fmt.Errorf("its URL has %s=%.40q; all that may be there is replicas=N, from 1", key, strings.Join(values, ","))
		}
		c.factor = n
	}
	u.Scheme, u.RawQuery = strings.TrimPrefix(u.Scheme, Scheme), ""
	c.base, c.http = strings.TrimSuffix(u.String(), "/")+"/v1", newHTTP()
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	if err := c.look(ctx); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// look looks at the server and the collection.
func (c *client) look(ctx context.Context) error {
	var meta struct{ Version string }
	if err := c.do(ctx, http.MethodGet, "/meta", nil, &meta); err != nil {
		return err
	}
	if meta.Version == "" {
		return errors.New("it does not answer as Weaviate does; is it the URL of its REST interface?")
	}
	all, err := c.collections(ctx)
	if err != nil {
		return err
	}
	if found, ok := all[c.collection]; ok {
		c.vectors.Store(int64(found.note.Vectors))
		c.revision, err = c.RevisionOf("collection "+c.collection, found.note)
	}
	return err
}

// collection is one that is ours.
type collection struct {
	note   server.Note
	schema json.RawMessage // with settings that somebody may have changed
}

// collections are those of the index, by name. What has such a name and was not made by unimo is an error.
func (c *client) collections(ctx context.Context) (map[string]collection, error) {
	var schema struct{ Classes []json.RawMessage }
	if err := c.patient(ctx, http.MethodGet, "/schema", nil, &schema); err != nil {
		return nil, err
	}
	all := map[string]collection{}
	for _, raw := range schema.Classes {
		var class struct{ Class, Description string }
		if err := json.Unmarshal(raw, &class); err != nil {
			return nil, fmt.Errorf("its schema cannot be read: %w", err)
		}
		if !strings.HasPrefix(strings.ToLower(class.Class), c.Prefix()) {
			continue
		}
		note, ours := server.ReadNote(class.Description)
		if !ours {
			return nil, fmt.Errorf("collection %s was not made by unimo, which will not touch it; delete it, or name another server", class.Class)
		}
		all[class.Class] = collection{note, raw}
	}
	return all, nil
}

// create makes the collection. Its texts are in no index of words, and what is compressed is the user's choice.
func (c *client) create(ctx context.Context) error {
	property := func(name string) map[string]any {
		return map[string]any{"name": name, "dataType": []string{"text"}, "indexFilterable": false, "indexSearchable": false}
	}
	class := map[string]any{
		"class":             c.collection,
		"description":       c.Note("", 0).String(),
		"vectorizer":        "none",
		"vectorIndexType":   "hnsw",
		"vectorIndexConfig": map[string]any{"distance": "dot", "maxConnections": connections, "efConstruction": construction, "skipDefaultQuantization": true},
		"properties":        []any{property("picture"), property("origin")},
	}
	if c.factor > 0 {
		class["replicationConfig"] = map[string]any{"factor": c.factor}
	}
	return c.patient(ctx, http.MethodPost, "/schema", class, nil)
}

// Revision implements [server.Server].
func (c *client) Revision() string { return c.revision }

// Close implements [rank.Store].
func (c *client) Close() error {
	c.http.CloseIdleConnections()
	return nil
}

// Nearest implements [rank.Store].
func (c *client) Nearest(ctx context.Context, query []float32, k int) ([]rank.Neighbor, error) {
	found, err := c.ask(ctx, fmt.Sprintf("nearVector:{vector:%s},limit:%d", server.Literal(query), k), "picture origin _additional{distance}", "Aggregate{"+c.collection+"{meta{count}}}")
	if err != nil {
		return nil, err
	}
	if err := c.whole(ctx, found.count(c.collection)); err != nil {
		return nil, err
	}
	objects, err := found.objects(c.collection)
	if err != nil {
		return nil, err
	}
	return neighbors(objects)
}

// whole says whether an answer is of all vectors. Weaviate leaves out the shards of a node that it takes for dead, and does not say so.
func (c *client) whole(ctx context.Context, count int) error {
	if int64(count) >= c.vectors.Load() {
		return nil
	}
	all, err := c.collections(ctx) // another command may have made the index smaller
	if err != nil {
		return err
	}
	if want := all[c.collection].note.Vectors; count < want {
		return fmt.Errorf("it has only %d of %d vectors now; is a node of its cluster down?", count, want)
	}
	c.vectors.Store(int64(count))
	return nil
}

// ask asks for objects of the collection, and for more.
func (c *client) ask(ctx context.Context, arguments, fields, more string) (answer, error) {
	var found answer
	query := map[string]string{"query": fmt.Sprintf("{Get{%s(%s){%s}}%s}", c.collection, arguments, fields, more)}
	if err := c.do(ctx, http.MethodPost, "/graphql", query, &found); err != nil {
		return found, err
	}
	return found, found.err(c.collection)
}

// have returns the ids of the objects that are there.
func (c *client) have(ctx context.Context) (map[uuid.UUID]bool, error) {
	have := map[uuid.UUID]bool{}
	for last := uuid.Nil; ; {
		ctx, cancel := context.WithTimeout(ctx, patience)
		found, err := c.ask(ctx, fmt.Sprintf("limit:%d,after:%q", page, last), "_additional{id}", "")
		cancel()
		if err != nil {
			return nil, err
		}
		objects, err := found.objects(c.collection)
		if err != nil || len(objects) == 0 {
			return have, err
		}
		for _, o := range objects {
			if last, err = uuid.Parse(o.Additional.ID); err != nil {
				return nil, fmt.Errorf("an object's id is none: %w", err)
			}
			if have[last] {
				return nil, fmt.Errorf("its list of objects has %s twice; is it being changed? try again", last)
			}
			have[last] = true
		}
	}
}

// objectID is made of all that a vector is of, but for the model.
func objectID(id string, origin rank.Origin) uuid.UUID {
	return uuid.NewHash(sha256.New(), uuid.Nil, append(origin[:], id...), 8)
}

// change is one that waits for its revision and for deletions.
type change struct {
	*client
	was, then server.Note
	sent      int
	gone      []uuid.UUID
}

func (c *change) Sent() int { return c.sent }
func (c *change) Abandon()  {} // what was sent is there for the next update, and nobody finds it

// Prepare implements [server.Server].
func (c *client) Prepare(ctx context.Context, rows rank.Rows, own []int, revision string, tick func(done, total int)) (server.Change, error) {
	all, err := c.collections(ctx)
	if err != nil {
		return nil, err
	}
	done := &change{client: c, was: c.Note("", 0), then: c.Note(revision, len(own))}
	have := map[uuid.UUID]bool{}
	if found, ok := all[c.collection]; ok {
		done.was = found.note
		have, err = c.have(ctx)
	} else {
		err = c.create(ctx)
	}
	if err != nil {
		return nil, err
	}
	var missing []int
	for _, i := range own {
		id := objectID(rows.IDs[i], rows.Origins[i])
		if !have[id] {
			missing = append(missing, i)
		}
		delete(have, id)
	}
	done.sent, done.gone = len(missing), slices.SortedFunc(maps.Keys(have), func(a, b uuid.UUID) int { return strings.Compare(a.String(), b.String()) })
	if err := c.send(ctx, rows, missing, tick); err != nil {
		return nil, err
	}
	return done, c.indexed(ctx)
}

// send puts the rows of some numbers into the collection.
func (c *client) send(ctx context.Context, rows rank.Rows, numbers []int, tick func(done, total int)) error {
	sent := 0
	tick(0, len(numbers))
	for part := range slices.Chunk(numbers, min(block, max(1, blockValues/c.Size))) {
		objects := make([]any, len(part))
		for k, i := range part {
			id, origin := rows.IDs[i], rows.Origins[i]
			objects[k] = map[string]any{
				"class": c.collection, "id": objectID(id, origin), "vector": json.RawMessage(server.Literal(rows.Vector(i))),
				"properties": map[string]string{"picture": id, "origin": fmt.Sprintf("%x", origin)},
			}
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		// A message whose sender leaves may end with objects that are stored and in no index, and that nobody would send again.
		var results []stored
		if err := c.patient(context.WithoutCancel(ctx), http.MethodPost, "/batch/objects", map[string]any{"objects": objects}, &results); err != nil {
			return err
		}
		if err := refused(results, len(part)); err != nil {
			return err
		}
		sent += len(part)
		tick(sent, len(numbers))
	}
	return nil
}

// indexed waits until all vectors are in their index: a server may put them there later.
func (c *client) indexed(ctx context.Context) error {
	least, since := 0, time.Now()
	for {
		var shards []struct {
			Name, Status    string
			VectorQueueSize int
		}
		if err := c.patient(ctx, http.MethodGet, "/schema/"+c.collection+"/shards", nil, &shards); err != nil {
			return err
		}
		waiting := 0
		for _, s := range shards {
			if s.Status == "READONLY" {
				return fmt.Errorf("its shard %s only reads; is its disk full?", s.Name)
			}
			waiting += s.VectorQueueSize
		}
		if waiting == 0 {
			return nil
		}
		if least == 0 || waiting < least {
			least, since = waiting, time.Now()
		}
		if time.Since(since) > patience {
			return fmt.Errorf("%d vectors are not in its index, and for %v none came into it; look at the server's log, and give the command again", waiting, patience)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// Commit implements [server.Change].
func (c *change) Commit(ctx context.Context) error {
	all, err := c.collections(ctx)
	if err != nil {
		return err
	}
	now, ok := all[c.collection]
	if !ok || now.note != c.was {
		return errors.New("another command has updated the index meanwhile; give the command again")
	}
	if now.note != c.then {
		if err := c.describe(ctx, now.schema, c.then); err != nil {
			return err
		}
	}
	c.vectors.Store(int64(c.then.Vectors))
	if err := c.remove(ctx, c.gone); err != nil {
		return err
	}
	for name := range all { // of models of before
		if name != c.collection {
			if err := c.patient(ctx, http.MethodDelete, "/schema/"+name, nil, nil); err != nil {
				return err
			}
		}
	}
	return nil
}

// describe replaces the collection's description, and leaves its settings as they are.
func (c *client) describe(ctx context.Context, schema json.RawMessage, n server.Note) error {
	var class map[string]json.RawMessage
	if err := json.Unmarshal(schema, &class); err != nil {
		return fmt.Errorf("its schema cannot be read: %w", err)
	}
	text, err := json.Marshal(n.String())
	if err != nil {
		return err
	}
	class["description"] = text
	return c.patient(ctx, http.MethodPut, "/schema/"+c.collection, class, nil)
}

// remove deletes objects.
func (c *client) remove(ctx context.Context, ids []uuid.UUID) error {
	for part := range slices.Chunk(ids, block) {
		match := map[string]any{"class": c.collection, "where": map[string]any{"path": []string{"_id"}, "operator": "ContainsAny", "valueTextArray": part}}
		var deleted struct {
			Results struct{ Successful, Failed int }
		}
		if err := c.patient(ctx, http.MethodDelete, "/batch/objects", map[string]any{"match": match}, &deleted); err != nil {
			return err
		}
		if r := deleted.Results; r.Failed > 0 {
			return fmt.Errorf("%d of %d vectors could not be deleted; give the command again", r.Failed, len(part))
		}
	}
	return nil
}

// Drop implements [server.Server].
func (c *client) Drop(ctx context.Context) error {
	all, err := c.collections(ctx)
	for name := range all {
		if err == nil {
			err = c.patient(ctx, http.MethodDelete, "/schema/"+name, nil, nil)
		}
	}
	return err
}
