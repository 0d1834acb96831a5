// Package pgvector keeps the vectors of an index in a PostgreSQL with the extension vector.
//
// An index has a table of its own, with a column for the id, one for the digest of what the vector is of, and the vector; and on it an HNSW index by
// inner product. The table's name has the name of the index and the model's digest, so that two models never meet. Its comment says that unimo made
// it: a table without is never touched. An update is one transaction, so a query sees the old rows or the new.
package pgvector

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/unimo-go/unimo/internal/model/rank"
	"github.com/unimo-go/unimo/internal/store/server"
)

// What an HNSW index takes, and how this one is built and searched: pgvector's manual explains the words.
const (
	maxVector      = 2000 // values
	maxHalf        = 4000 // values of half precision
	connections    = 16   // m
	construction   = 128  // ef_construction
	leastSearch    = 100  // ef_search
	mostSearch     = 1000 // the largest ef_search that there is
	connectTimeout = 5 * time.Second
	lookTimeout    = 10 * time.Second // for what is asked once a connection is there
)

// pgInvalidParameter is the SQLSTATE of a value that a setting does not take.
const pgInvalidParameter = "22023"

type client struct {
	server.Part
	pool     *pgxpool.Pool
	wrong    atomic.Pointer[string] // what the server has said of a setting that it has not taken
	table    string                 // its name, which needs no quotes
	revision string
	scans    bool // the server can go on with an index scan that found too little
}

// Connect connects to the server at a URL as pgx and libpq read it: what the URL lacks is taken from their environment variables and files.
func Connect(ctx context.Context, url string, p server.Part) (server.Server, error) {
	if p.Size > maxHalf {
		return nil, fmt.Errorf("vectors of %d values: pgvector's HNSW index takes %d at most (%d in full precision); train with a smaller contrast_size, or leave the vectors in the folder", p.Size, maxHalf, maxVector)
	}
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		if cause := errors.Unwrap(err); cause != nil { // the error itself quotes the URL
			return nil, fmt.Errorf("its URL cannot be used: %w", cause)
		}
		return nil, errors.New("its URL cannot be used; want one such as postgres://ada@db.example:5432/photos")
	}
	if config.ConnConfig.ConnectTimeout == 0 && !strings.Contains(url, "connect_timeout") { // nor does PGCONNECT_TIMEOUT say it
		config.ConnConfig.ConnectTimeout = connectTimeout
	}
	c := &client{Part: p, table: p.Name()}
	config.ConnConfig.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) {
		if n.Code == pgInvalidParameter {
			c.wrong.CompareAndSwap(nil, &n.Message)
		}
	}
	// Nothing is prepared: a plan is made for the k of its query, and poolers need not keep sessions.
	config.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeExec
	if c.pool, err = pgxpool.NewWithConfig(ctx, config); err != nil {
		return nil, explain(err)
	}
	if t := config.ConnConfig.ConnectTimeout; t > 0 { // else as long as it takes
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, t+lookTimeout)
		defer cancel()
	}
	if err := c.look(ctx); err != nil {
		c.pool.Close()
		return nil, explain(err)
	}
	return c, nil
}

// look looks at the extension and the table.
func (c *client) look(ctx context.Context) error {
	var version, offered *string
	err := c.pool.QueryRow(ctx, `SELECT (SELECT extversion FROM pg_extension WHERE extname = 'vector'), (SELECT default_version FROM pg_available_extensions WHERE name = 'vector')`).Scan(&version, &offered)
	switch {
	case err != nil:
		return err
	case version == nil && offered == nil:
		return errors.New("the server has no pgvector; install it there (https://github.com/pgvector/pgvector)")
	case version == nil:
		return errors.New(`the database has no extension vector; run "CREATE EXTENSION vector" in it`)
	case older(*version, 0, 5):
		return fmt.Errorf("pgvector %s has no HNSW index; want 0.5 or newer", *version)
	case c.Size > maxVector && older(*version, 0, 7):
		return fmt.Errorf("pgvector %s has no index of %d values; want 0.7 or newer", *version, c.Size)
	}
	// A setting such as hnsw.ef_search is known when pgvector has been loaded. One out of its range is then its default, and a warning.
	if _, err := c.pool.Exec(ctx, "SELECT '[1]'::vector"); err != nil {
		return err
	}
	if wrong := c.wrong.Load(); wrong != nil {
		return fmt.Errorf("%s; correct the URL, or the settings of the database", *wrong)
	}
	c.scans = !older(*version, 0, 8)
	tables, err := c.tables(ctx, c.pool)
	if err != nil {
		return err
	}
	if n, ok := tables[c.table]; ok {
		c.revision, err = c.RevisionOf("table "+c.table, n)
	}
	return err
}

// older says whether a version is below major.minor.
func older(version string, major, minor int) bool {
	first, rest, _ := strings.Cut(version, ".")
	second, _, _ := strings.Cut(rest, ".")
	a, _ := strconv.Atoi(first)
	b, _ := strconv.Atoi(second)
	return a < major || a == major && b < minor
}

// querier is a pool or a transaction.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

// tables are those of the index, by name. What has such a name and was not made by unimo is an error.
func (c *client) tables(ctx context.Context, q querier) (map[string]server.Note, error) {
	rows, err := q.Query(ctx, `SELECT relname::text, coalesce(obj_description(oid, 'pg_class'), ''), relkind = 'r' FROM pg_class
		WHERE starts_with(relname::text, $1) AND relkind NOT IN ('i', 't') AND pg_table_is_visible(oid)`, c.Prefix())
	if err != nil {
		return nil, err
	}
	tables := map[string]server.Note{}
	var name, comment string
	var plain bool
	_, err = pgx.ForEachRow(rows, []any{&name, &comment, &plain}, func() error {
		n, ours := server.ReadNote(comment)
		if !ours || !plain {
			return fmt.Errorf("table %s was not made by unimo, which will not touch it; rename it, or name another database", name)
		}
		tables[name] = n
		return nil
	})
	return tables, err
}

// Revision implements [server.Server].
func (c *client) Revision() string { return c.revision }

// Close implements [rank.Store].
func (c *client) Close() error {
	c.pool.Close()
	return nil
}

// column is the type of the vectors' column.
func (c *client) column() string {
	if c.Size > maxVector {
		return fmt.Sprintf("halfvec(%d)", c.Size)
	}
	return fmt.Sprintf("vector(%d)", c.Size)
}

// Nearest implements [rank.Store].
func (c *client) Nearest(ctx context.Context, query []float32, k int) ([]rank.Neighbor, error) {
	for try := 0; ; try++ {
		conn, err := c.pool.Acquire(ctx)
		if err != nil {
			return nil, explain(err)
		}
		list, err := c.nearest(ctx, conn.Conn(), query, k)
		lost := conn.Conn().IsClosed()
		conn.Release()
		if err == nil || !lost || try > 0 || ctx.Err() != nil { // a connection of before a restart of the server deserves a second try
			return list, explain(err)
		}
	}
}

// nearest asks for all in one message, which is one transaction: settings hold for it alone, behind poolers too.
func (c *client) nearest(ctx context.Context, conn *pgx.Conn, query []float32, k int) ([]rank.Neighbor, error) {
	var b pgx.Batch
	setting := func(name, value string) { b.Queue("SELECT set_config($1, $2, true)", name, value) }
	if k > mostSearch/2 { // the index does not look that far
		setting("enable_indexscan", "off")
	} else {
		// A larger ef_search is the user's own, of the URL or the database.
		b.Queue("SELECT set_config('hnsw.ef_search', greatest(nullif(current_setting('hnsw.ef_search', true), '')::int, $1::int)::text, true)", max(leastSearch, 2*k))
		if c.scans {
			setting("hnsw.iterative_scan", "strict_order") // rows that are gone are in the index until a vacuum
		}
	}
	settings := b.Len()
	b.Queue(fmt.Sprintf("SELECT id, origin, -(vector <#> $1::text::%[1]s) FROM %[2]s ORDER BY vector <#> $1::text::%[1]s LIMIT $2", c.column(), c.table), server.Literal(query), k)
	results := conn.SendBatch(ctx, &b)
	for range settings {
		if _, err := results.Exec(); err != nil {
			results.Close()
			return nil, err
		}
	}
	rows, err := results.Query()
	if err != nil {
		results.Close()
		return nil, err
	}
	var list []rank.Neighbor
	var n rank.Neighbor
	var origin []byte
	var score float64
	_, err = pgx.ForEachRow(rows, []any{&n.ID, &origin, &score}, func() error {
		if len(origin) == len(n.Origin) { // else it is nothing that the index has
			n.Origin, n.Score = rank.Origin(origin), float32(score)
			list = append(list, n)
		}
		return nil
	})
	return list, errors.Join(err, results.Close())
}

// change is an open transaction.
type change struct {
	tx   pgx.Tx
	sent int
}

func (c *change) Sent() int                        { return c.sent }
func (c *change) Commit(ctx context.Context) error { return explain(c.tx.Commit(ctx)) }

// Abandon implements [server.Change].
func (c *change) Abandon() {
	ctx, cancel := context.WithTimeout(context.Background(), connectTimeout)
	defer cancel()
	c.tx.Rollback(ctx) // after a commit, or without a connection, there is nothing to take back
}

// block is how many rows go in one message.
const block = 500

// Prepare implements [server.Server].
func (c *client) Prepare(ctx context.Context, rows rank.Rows, own []int, revision string, tick func(done, total int)) (server.Change, error) {
	tx, err := c.pool.Begin(ctx)
	if err != nil {
		return nil, explain(err)
	}
	done := &change{tx: tx}
	if done.sent, err = c.prepare(ctx, tx, rows, own, revision, tick); err != nil {
		done.Abandon()
		return nil, explain(err)
	}
	return done, nil
}

func (c *client) prepare(ctx context.Context, tx pgx.Tx, rows rank.Rows, own []int, revision string, tick func(done, total int)) (sent int, err error) {
	free := false
	if err := tx.QueryRow(ctx, "SELECT pg_try_advisory_xact_lock(hashtext($1))", c.Prefix()).Scan(&free); err != nil {
		return 0, err
	}
	if !free { // to wait could be for ever, with several servers
		return 0, errors.New("another command updates the index; wait for its end")
	}
	tables, err := c.tables(ctx, tx)
	if err != nil {
		return 0, err
	}
	now, made := tables[c.table]
	have := map[string]rank.Origin{}
	if made {
		if have, err = c.have(ctx, tx); err != nil {
			return 0, err
		}
	} else if _, err := tx.Exec(ctx, fmt.Sprintf(`CREATE TABLE %s (id text COLLATE "C" PRIMARY KEY, origin bytea NOT NULL, vector %s NOT NULL)`, c.table, c.column())); err != nil {
		return 0, err
	}
	var missing []int
	for _, i := range own {
		if origin, ok := have[rows.IDs[i]]; !ok || origin != rows.Origins[i] {
			missing = append(missing, i)
		}
		delete(have, rows.IDs[i])
	}
	gone := make([]string, 0, len(have))
	for id := range have {
		gone = append(gone, id)
	}
	for part := range slices.Chunk(gone, 10*block) {
		if _, err := tx.Exec(ctx, fmt.Sprintf("DELETE FROM %s WHERE id = ANY($1)", c.table), part); err != nil {
			return 0, err
		}
	}
	if err := c.send(ctx, tx, rows, missing, tick); err != nil {
		return 0, err
	}
	if !made { // of rows that are there an index is built sooner
		_, err := tx.Exec(ctx, fmt.Sprintf("CREATE INDEX ON %s USING hnsw (vector %s_ip_ops) WITH (m = %d, ef_construction = %d)", c.table, strings.SplitN(c.column(), "(", 2)[0], connections, construction))
		if err != nil {
			return 0, err
		}
	}
	for name := range tables { // of models of before
		if name != c.table {
			if _, err := tx.Exec(ctx, "DROP TABLE "+pgx.Identifier{name}.Sanitize()); err != nil {
				return 0, err
			}
		}
	}
	then := c.Note(revision, len(own))
	if len(missing)+len(gone) == 0 && now == then {
		return 0, nil
	}
	_, err = tx.Exec(ctx, fmt.Sprintf("COMMENT ON TABLE %s IS '%s'", c.table, strings.ReplaceAll(then.String(), "'", "''")))
	if err == nil {
		_, err = tx.Exec(ctx, "ANALYZE "+c.table)
	}
	return len(missing), err
}

// have returns what the table has.
func (c *client) have(ctx context.Context, tx pgx.Tx) (map[string]rank.Origin, error) {
	rows, err := tx.Query(ctx, "SELECT id, origin FROM "+c.table)
	if err != nil {
		return nil, err
	}
	have := map[string]rank.Origin{}
	var id string
	var origin []byte
	_, err = pgx.ForEachRow(rows, []any{&id, &origin}, func() error {
		var o rank.Origin
		copy(o[:], origin)
		have[id] = o
		return nil
	})
	return have, err
}

// send puts the rows of some numbers into the table.
func (c *client) send(ctx context.Context, tx pgx.Tx, rows rank.Rows, numbers []int, tick func(done, total int)) error {
	insert := fmt.Sprintf(`INSERT INTO %s (id, origin, vector) SELECT id, origin, vector::%s FROM unnest($1::text[], $2::bytea[], $3::text[]) AS r (id, origin, vector)
		ON CONFLICT (id) DO UPDATE SET origin = excluded.origin, vector = excluded.vector`, c.table, c.column())
	sent := 0
	tick(0, len(numbers))
	for part := range slices.Chunk(numbers, block) {
		ids, origins, vectors := make([]string, len(part)), make([][]byte, len(part)), make([]string, len(part))
		for k, i := range part {
			ids[k], origins[k], vectors[k] = rows.IDs[i], rows.Origins[i][:], server.Literal(rows.Vector(i))
		}
		if _, err := tx.Exec(ctx, insert, ids, origins, vectors); err != nil {
			return err
		}
		sent += len(part)
		tick(sent, len(numbers))
	}
	return nil
}

// Drop implements [server.Server].
func (c *client) Drop(ctx context.Context) error {
	return explain(pgx.BeginFunc(ctx, c.pool, func(tx pgx.Tx) error {
		tables, err := c.tables(ctx, tx)
		for name := range tables {
			if err == nil {
				_, err = tx.Exec(ctx, "DROP TABLE "+pgx.Identifier{name}.Sanitize())
			}
		}
		return err
	}))
}

// explain says what to do about an error of the server, on one line.
func explain(err error) error {
	if err == nil {
		return nil
	}
	todo := ""
	var refused *pgconn.PgError
	var dial *pgconn.ConnectError
	switch {
	case errors.As(err, &refused):
		todo = todos[refused.Code]
	case errors.As(err, &dial):
		todo = "is the server running, and reached from here?"
		if strings.HasSuffix(dial.Error(), "server refused TLS connection") {
			todo = "the server has no TLS: switch it on there, or write another sslmode in the URL"
		}
	}
	return server.Explain(err, todo)
}

// todos are by SQLSTATE.
var todos = map[string]string{
	"28P01": credentials, "28000": credentials,
	"25006": "this server only reads, as a standby does; name the primary",
	"3D000": "create the database, or name one that is there",
	"42501": "to search, the user needs the right to read the index's table; to update, to own it, and to create tables in the schema",
	"42P01": `the index was made again, or its table was removed; open it again, or run "unimo index" again`,
	"42704": "is the extension vector in a schema of the search_path?",
	"53300": "the server has no connection left; raise its max_connections, or lower pool_max_conns in the URL",
	"54000": "an id is too long for PostgreSQL's index; shorten the path",
	"57014": "if it is the server's statement_timeout, add statement_timeout=0 to the URL",
	"57P03": "the server is starting or ending; try again",
}

const credentials = "give the right user in the URL, and the password in PGPASSWORD or ~/.pgpass"
