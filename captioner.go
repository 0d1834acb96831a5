package unimo

import (
	"context"

	"github.com/unimo-go/unimo/internal/dataset/regions"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/tasks/captioning"
)

// Captioner is an open model that writes what is to be seen in pictures. It is safe for concurrent use; calls take
// turns, as each uses all cores. A call that waits heeds its context.
type Captioner struct {
	handle *handle
	c      *captioning.Captioner
}

// OpenCaptioner opens the model in the folder dir, or the best model of a run's folder. See
// [Open] about its files and errors. A model for another kind of task is [ErrWrongTask].
func OpenCaptioner(dir string, options ...Option) (*Captioner, error) {
	from, err := environment(dir, options)
	if err != nil {
		return nil, err
	}
	m := new(Captioner)
	m.handle, err = from.open(dir, func(env run.Env) (err error) {
		m.c, err = captioning.Open(dir, env)
		return err
	})
	if err != nil {
		return nil, err
	}
	return m, nil
}

// Close releases the model like [Model.Close].
func (m *Captioner) Close() error { return m.handle.close(func() error { return m.c.Close() }) }

// Decoding returns how the model finds captions: what it was fine-tuned for. It may be called after Close.
func (m *Captioner) Decoding() Decoding {
	if m.c == nil {
		return Decoding{}
	}
	return decodingOf(m.c.Decoding)
}

// Caption writes a caption for the picture, the content of a JPEG, PNG, GIF or WebP file. Pictures of more than 50
// million pixels are an error. Other errors are ctx's, [ErrClosed], content that is no picture, a model that knows only
// region features from elsewhere, and that the model's weights are broken.
func (m *Captioner) Caption(ctx context.Context, picture []byte) (Text, error) {
	return m.CaptionWith(ctx, m.Decoding(), picture)
}

// CaptionWith is [Captioner.Caption] with another decoding than the model's own. An impossible one is [ErrSetting].
func (m *Captioner) CaptionWith(ctx context.Context, d Decoding, picture []byte) (Text, error) {
	var text Text
	err := m.handle.use(ctx, func(ctx context.Context, _ *call) error {
		o, err := d.options(m.c.Decoding.MaxMemory, m.c.Config)
		if err != nil {
			return err
		}
		im, err := m.c.Decode(ctx, picture)
		if err != nil {
			return err
		}
		tags, err := m.c.Tagger(captioning.TagSettings{}, "", false)
		if err != nil {
			return err
		}
		written, err := m.c.Caption(ctx, []*regions.Image{im}, tags, 0, o, func(int, int) {})
		if err == nil {
			text = Text{written[0].Text, written[0].Score, written[0].Finished}
		}
		return err
	})
	return text, err
}
