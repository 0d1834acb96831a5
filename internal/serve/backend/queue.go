package backend

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/unimo-go/unimo/checkpoint"
	"github.com/unimo-go/unimo/internal/base/parallel"
	"github.com/unimo-go/unimo/internal/compute/engine"
)

// batchRows are the tokens and regions that go through a model together: as many as an operation's values stay in the processor's cache for.
const batchRows = 2048

// shareRows are those of a request that the processor's batch takes at a time, where others wait; and what work that is not counted is taken for.
const shareRows = batchRows / 4

// lanes say how batches go through a model.
type lanes struct {
	number int // that may be in it at a time
	beside int // of these, those that are computed at a time
	rows   int // of a batch; of a request with more at most a quarter, so that a long one does not keep the others waiting
}

// acceleratorLanes are those of an accelerator. It computes one batch after the other, with all that it has, so that a batch has whatever waits;
// while it does, the next one is prepared and recorded. Larger ones than the processor's keep its units busy.
var acceleratorLanes = lanes{number: 2, beside: 1, rows: 4 * batchRows}

// work is something that a model does.
type work struct {
	name string
	// run answers parts of requests of the same group.
	run func(ctx context.Context, parts []part) error
}

// request is a call that waits for its model.
type request struct {
	work  *work
	group any   // of requests that may go through the model together; it is comparable
	rows  []int // tokens and regions of each of its items
	usage Usage
	data  any         // what work is told
	emit  chan string // the pieces of a text, with room for all; nil: nobody wants them
	told  func(piece string) error

	since time.Time
	next  int // the first item that was not taken
	done  int // items that are answered
	left  bool
	err   error
	ended chan struct{}
}

// part is the items from to to-1 of a request.
type part struct {
	*request
	from, to int
}

// batch is parts of requests that go through the model together.
type batch struct {
	parts  []part
	rows   int
	cancel func()
}

// queue is what waits for a model. On the processor as many batches of it as there are threads go through the model at a time.
type queue struct {
	name  string
	limit int // items that may wait
	most  int // rows of a request
	lanes lanes
	gate  chan struct{} // bounds the batches that are computed at a time, those of all models together
	watch Observer

	mu      sync.Mutex
	changed *sync.Cond
	waiting []*request
	items   int // of waiting, not taken
	rows    int // of these
	coming  int // items that are still being read
	running []*batch
	speed   float64 // rows a second of a batch
	closed  bool
	stopped chan struct{}
}

func newQueue(name string, limit, most int, l lanes, gate chan struct{}, watch Observer) *queue {
	q := &queue{name: name, limit: limit, most: most, lanes: l, gate: gate, watch: watch, stopped: make(chan struct{})}
	q.changed = sync.NewCond(&q.mu)
	go q.serve()
	return q
}

// do waits until a request is answered, or its context ends. Its function told gets the pieces of a text meanwhile.
func (q *queue) do(ctx context.Context, r *request) error {
	if len(r.rows) == 0 {
		return nil
	}
	if ctx.Err() != nil {
		return Ended(ctx)
	}
	rows := 0
	for _, n := range r.rows {
		rows += n
	}
	if rows > q.most {
		return &Error{Kind: TooLarge, Limit: q.most, Message: fmt.Sprintf("the request has %d tokens and regions; this server takes %d of a request, so send several", rows, q.most)}
	}
	if err := q.enter(r); err != nil {
		return err
	}
	for {
		select {
		case piece := <-r.emit:
			if err := r.told(piece); err != nil {
				q.leave(r)
				return notTaken(err)
			}
		case <-r.ended:
			for r.told != nil && r.err == nil && len(r.emit) > 0 {
				if err := r.told(<-r.emit); err != nil {
					return notTaken(err)
				}
			}
			if r.err == nil {
				return nil
			}
			return AsError(r.err)
		case <-ctx.Done():
			q.leave(r)
			return Ended(ctx)
		}
	}
}

// notTaken is that a client took no more of a text.
func notTaken(err error) error {
	return &Error{Kind: Canceled, Message: "the text was not taken", Err: err}
}

func (q *queue) enter(r *request) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return Errorf(Unavailable, "", "model %s is being closed; try again", q.name)
	}
	if err := q.room(len(r.rows)); err != nil {
		return err
	}
	r.since, r.ended = time.Now(), make(chan struct{})
	q.waiting = append(q.waiting, r)
	q.items += len(r.rows)
	for _, n := range r.rows {
		q.rows += n
	}
	q.watch.Queued(q.name, len(q.waiting))
	q.changed.Signal()
	return nil
}

// expect makes room for items that will come once they are read: pictures, which cost more to read than to refuse. Whoever has read them gives the
// room back.
func (q *queue) expect(n int) (back func(), err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if err := q.room(n); err != nil {
		return nil, err
	}
	q.coming += n
	return func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		q.coming -= n
	}, nil
}

// full says whether there is no room for anything.
func (q *queue) full() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.items+q.coming >= q.limit
}

// room is an error where n more items are too many. Whatever their number, they are not where there are no others.
func (q *queue) room(n int) error {
	waits := q.items + q.coming
	if waits == 0 || waits+n <= q.limit {
		return nil
	}
	q.watch.Refused(q.name)
	return &Error{
		Kind: Overloaded, Limit: q.limit, RetryAfter: q.wait(),
		Message: fmt.Sprintf("model %s is busy: %d texts, pictures or pairs wait for it, and %d may; try again later", q.name, waits, q.limit),
	}
}

// wait is about how long it takes until what waits is answered.
func (q *queue) wait() time.Duration {
	if q.speed == 0 {
		return time.Second
	}
	seconds := float64(q.rows) / (q.speed * float64(q.lanes.beside))
	return min(max(time.Duration(seconds*float64(time.Second)), time.Second), time.Minute)
}

// leave takes a request whose caller is gone out of the queue, and stops a batch that nobody waits for any more.
func (q *queue) leave(r *request) {
	q.mu.Lock()
	defer q.mu.Unlock()
	r.left = true
	q.remove(r)
	for _, b := range q.running {
		if !slices.ContainsFunc(b.parts, func(p part) bool { return !p.left }) {
			b.cancel()
		}
	}
}

// remove takes what was not taken of a request out of the queue.
func (q *queue) remove(r *request) {
	i := slices.Index(q.waiting, r)
	if i < 0 {
		return
	}
	q.waiting = slices.Delete(q.waiting, i, i+1)
	q.items -= len(r.rows) - r.next
	for ; r.next < len(r.rows); r.next++ {
		q.rows -= r.rows[r.next]
	}
	q.watch.Queued(q.name, len(q.waiting))
}

// close ends the queue once nothing waits any more.
func (q *queue) close() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.changed.Signal()
	<-q.stopped
}

func (q *queue) serve() {
	defer close(q.stopped)
	var batches sync.WaitGroup
	defer batches.Wait()
	for q.some() {
		q.gate <- struct{}{} // who comes meanwhile still gets into the batch
		ctx, cancel := context.WithCancel(context.Background())
		b := q.take(cancel)
		if b == nil {
			cancel()
			<-q.gate
			continue
		}
		batches.Go(func() {
			q.run(ctx, b)
			cancel()
			runtime.Gosched() // whoever was answered goes before the next batch
			<-q.gate
		})
	}
}

// some waits until something waits that may go through the model, and says whether; else the queue is closed.
func (q *queue) some() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.running) == q.lanes.number || len(q.waiting) == 0 && !q.closed {
		q.changed.Wait()
	}
	return len(q.waiting) > 0
}

// take takes the next batch: items of the first request and of all that may go with it, each a share in turn. What is left of the first goes
// behind the others. A batch has no more than its part of all rows that wait and are in the model, so that those beside it have as much to do.
func (q *queue) take(cancel func()) *batch {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) == 0 {
		return nil
	}
	fair := q.rows
	if n := q.lanes.beside; n > 1 {
		for _, b := range q.running {
			fair += b.rows
		}
		fair = (fair + n - 1) / n
	}
	b := &batch{cancel: cancel}
	first, used := q.waiting[0], 0
	for more := true; more; {
		more = false
		for _, r := range q.waiting {
			if r.work.name != first.work.name || r.group != first.group {
				continue
			}
			from := r.next
			for share := 0; r.next < len(r.rows) && share < q.lanes.rows/4; r.next++ {
				n := r.rows[r.next]
				if used > 0 && (used >= fair || used+n > q.lanes.rows) {
					break
				}
				share, used = share+n, used+n
			}
			if r.next > from {
				b.parts, more = append(b.parts, part{r, from, r.next}), true
				q.items -= r.next - from
			}
		}
	}
	b.rows = used
	q.rows -= used
	q.waiting = slices.DeleteFunc(q.waiting, func(r *request) bool { return r.next == len(r.rows) })
	if len(q.waiting) > 0 && q.waiting[0] == first {
		q.waiting = append(q.waiting[1:], first)
	}
	q.running = append(q.running, b)
	q.watch.Queued(q.name, len(q.waiting))
	return b
}

// run takes a batch through the model. Where that fails and several requests are in it, each is tried alone: they must not suffer from one
// of them.
func (q *queue) run(ctx context.Context, taken *batch) {
	defer parallel.Share()()
	begin, parts := time.Now(), taken.parts
	requests := map[*request]error{}
	b := Batch{Work: parts[0].work.name}
	for _, p := range parts {
		requests[p.request] = nil
		b.Items += p.to - p.from
		if p.usage.Pictures > 0 {
			b.Pictures += p.to - p.from
		}
		b.Waited = max(b.Waited, begin.Sub(p.since))
	}
	b.Requests, b.Tokens = len(requests), taken.rows
	b.Err = guarded(ctx, parts)
	if b.Err != nil {
		for r := range requests {
			// What was told of a text cannot be taken back.
			if requests[r] = b.Err; len(requests) > 1 && r.emit == nil && ctx.Err() == nil {
				requests[r] = guarded(ctx, slices.DeleteFunc(slices.Clone(parts), func(p part) bool { return p.request != r }))
			}
		}
	}
	b.Took = time.Since(begin)
	q.mu.Lock()
	defer q.mu.Unlock()
	q.running = slices.DeleteFunc(q.running, func(b *batch) bool { return b == taken })
	q.changed.Signal()
	if seconds := b.Took.Seconds(); seconds > 0 {
		if now := float64(taken.rows) / seconds; q.speed == 0 {
			q.speed = now
		} else {
			q.speed += (now - q.speed) / 8
		}
	}
	q.watch.Ran(q.name, b) // before its requests end, so that whoever was answered finds the batch counted
	for _, p := range parts {
		p.done += p.to - p.from
	}
	for r, err := range requests {
		if err != nil {
			q.remove(r)
		}
		if (err != nil || r.done == len(r.rows)) && r.err == nil {
			r.err = err
			close(r.ended)
		}
	}
}

// guarded runs a batch. A panic, a device that fails, and a file of weights that is cut short under the program are errors.
func guarded(ctx context.Context, parts []part) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%s: panic: %v\n%s", parts[0].work.name, p, debug.Stack())
		}
	}()
	return checkpoint.Guard(func() error {
		return engine.Guard(func() error { return parts[0].work.run(ctx, parts) })
	})
}
