package images

import (
	"fmt"
	"log/slog"
	"slices"

	"github.com/unimo-go/unimo/checkpoint"
	"github.com/unimo-go/unimo/internal/model"
)

// parts are the parameters whose shape depends on where images come from: the embedding of regions, and what
// pre-training says of hidden ones.
var parts = []string{"image_emb.w_0", "mask_region_feature_fc.w_0", "mask_region_feature_fc.b_0", "mask_region_class_fc.w_0", "mask_region_class_fc.b_0"}

// Fit returns r, without those of the parts that are for features of another size:
// a model that was trained on a detector's features can go on from pixels.
func Fit(r checkpoint.Reader, specs []model.Spec, log *slog.Logger) checkpoint.Reader {
	var without []string
	for _, spec := range specs {
		if !slices.Contains(parts, spec.Name) {
			continue
		}
		if info, err := r.Info(spec.Name); err == nil && !slices.Equal(info.Shape, spec.Shape) {
			log.Warn(fmt.Sprintf("the checkpoint is for regions of another size: %s has the shape %v and is to have %v; it starts from random values", spec.Name, info.Shape, spec.Shape))
			without = append(without, spec.Name)
		}
	}
	return model.Without(r, without...)
}
