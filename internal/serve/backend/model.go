package backend

import (
	"context"
	"errors"
	"fmt"

	"github.com/unimo-go/unimo/internal/dataset/picture"
	"github.com/unimo-go/unimo/internal/dataset/regions"
	"github.com/unimo-go/unimo/internal/run"
)

// served is a model by its name. Each call has whatever model has that name when it begins.
type served struct {
	r    *Registry
	name string
	info Info
}

// Info implements [Model].
func (m *served) Info() Info { return m.info }

// invalid says that a request is wrong in what err says.
func invalid(param string, err error) *Error {
	return &Error{Kind: Invalid, Param: param, Message: err.Error(), Err: err}
}

// settingsToInvalid gives an error about what was asked for its kind.
func settingsToInvalid(param string, err error) error {
	if setting := (*run.SettingError)(nil); errors.As(err, &setting) {
		return invalid(param, err)
	}
	return err
}

// decode reads pictures as a model sees them, some at a time. They are refused before that where too many others wait.
func (r *Registry) decode(ctx context.Context, v view, h *head, param string, list [][]byte) ([]*regions.Image, error) {
	if len(list) == 0 {
		return nil, nil
	}
	if h.Pictures == nil {
		return nil, Errorf(Cannot, param, "the model reads no pictures; it knows only region features from elsewhere")
	}
	back, err := v.queue.expect(len(list))
	if err != nil {
		return nil, err
	}
	defer back()
	read := make([]*regions.Image, len(list))
	for i, raw := range list {
		select {
		case r.decoding <- struct{}{}:
		case <-ctx.Done():
			return nil, Ended(ctx)
		}
		im, err := func() (*regions.Image, error) {
			defer func() { <-r.decoding }() // also where a device fails
			return h.Pictures.Decode(ctx, raw)
		}()
		var pixels *picture.PixelsError
		switch {
		case errors.As(err, &pixels):
			return nil, &Error{
				Kind: TooLarge, Param: param, Limit: pixels.Limit, Err: err,
				Message: fmt.Sprintf("a picture has %d x %d pixels; this server takes %d, so make it smaller", pixels.Width, pixels.Height, pixels.Limit),
			}
		case err != nil && ctx.Err() != nil:
			return nil, Ended(ctx)
		case err != nil:
			return nil, invalid(param, err)
		}
		read[i] = im
	}
	return read, nil
}

// asked is what a request gives a model to read, and the answer to each of it.
type asked[I, A any] struct {
	items   []I
	answers []A
}

// through takes the items of a request through the model, together with those of other requests for the same work of the same group.
func through[I, A any](ctx context.Context, v view, r *request, name string, items []I, answer func(ctx context.Context, items []I) ([]A, error)) ([]A, error) {
	d := &asked[I, A]{items, make([]A, len(items))}
	r.data, r.work = d, &work{name, func(ctx context.Context, parts []part) error {
		var all []I
		for _, p := range parts {
			all = append(all, p.data.(*asked[I, A]).items[p.from:p.to]...)
		}
		made, err := answer(ctx, all)
		if err != nil {
			return err
		}
		for _, p := range parts {
			made = made[copy(p.data.(*asked[I, A]).answers[p.from:p.to], made):]
		}
		return nil
	}}
	if err := v.queue.do(ctx, r); err != nil {
		return nil, err
	}
	return d.answers, nil
}

func ignore(int, int) {}
