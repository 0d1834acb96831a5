package task

import (
	"log/slog"
	"slices"

	"github.com/unimo-go/unimo/internal/checkpoint"
	"github.com/unimo-go/unimo/internal/model"
)

// imageEmbedding is the parameter whose shape depends on where images come from.
const imageEmbedding = "image_emb.w_0"

// otherImages is a checkpoint without its embedding of regions.
type otherImages struct{ checkpoint.Reader }

// Tensors implements [checkpoint.Reader].
func (r otherImages) Tensors() []checkpoint.Info {
	return slices.DeleteFunc(r.Reader.Tensors(), func(i checkpoint.Info) bool { return i.Name == imageEmbedding })
}

// fitImages returns r, without its embedding of regions if that is for features of another size:
// a model that was trained on a detector's features can go on from pixels.
func fitImages(r checkpoint.Reader, cfg model.Config, log *slog.Logger) checkpoint.Reader {
	for _, info := range r.Tensors() {
		if info.Name == imageEmbedding && len(info.Shape) == 2 && info.Shape[0] != cfg.ImageEmbeddingSize && info.Shape[1] == cfg.HiddenSize {
			log.Warn("the checkpoint embeds regions of another size; this part starts anew", "checkpoint", info.Shape[0], "images", cfg.ImageEmbeddingSize)
			return otherImages{r}
		}
	}
	return r
}
