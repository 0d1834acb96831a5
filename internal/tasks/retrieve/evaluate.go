package retrieve

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"

	"github.com/unimo-go/unimo/internal/dataset/captions"
	"github.com/unimo-go/unimo/internal/dataset/regions"
	"github.com/unimo-go/unimo/internal/model/rank"
	"github.com/unimo-go/unimo/internal/report"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/tasks/images"
	"github.com/unimo-go/unimo/internal/train"
)

// Evaluate implements [run.Finished].
func (r *Retriever) Evaluate(ctx context.Context, _ *run.Task, f run.File, settings run.Flags, tick run.Tick) (run.Result, error) {
	s := settings.(*EvalSettings)
	split, err := captions.ReadList(f.Path)
	if err != nil {
		return run.Result{}, err
	}
	o := s.Options(r.log, r.Device.Limit())
	o.Model = r.Trained()
	source, _, sets, err := images.Open(o, r.Extractor, r.Limits, 1<<30, split)
	if err != nil {
		return run.Result{}, err
	}
	defer source.Close()
	split = sets[0]
	all, cut, err := images.EvalSet(split, source, r.encoder)
	if err != nil {
		return run.Result{}, err
	}
	set := all.First(s.First)
	result := run.Result{Split: f.Split, File: f.Path, Notes: slices.Concat(o.Notes(), run.CutNotes(cut, len(split.Captions), "captions", r.encoder.MaxLen), firstNotes(set, all))}
	candidates := s.TwoStage
	switch {
	case r.VectorsOnly && candidates == 0 && s.Scores == "":
		candidates = 1 // the order is that of the vectors
		result.Notes = append(result.Notes, "ranked by vectors, since the match head was not trained")
	case r.VectorsOnly && candidates != 1:
		result.Notes = append(result.Notes, UntrainedHead)
	}
	var out rank.Outcome
	if candidates == 0 {
		out, err = r.exhaustive(ctx, set, s.Scores, tick)
	} else {
		out, err = r.twoStage(ctx, set, candidates, tick)
	}
	if err != nil {
		return run.Result{}, err
	}
	result.Metrics = images.RecallNumbers(out.Recalls, set)
	d := newDetail(split, set, out)
	c, err := r.Calibration()
	if err != nil {
		return run.Result{}, err
	}
	if c != nil || r.Calibrating() {
		if d.sample, err = samplePairs(ctx, r.scorer, set, !r.VectorsOnly, r.Config.ContrastSize, tick); err != nil {
			return run.Result{}, err
		}
	}
	if s.TwoStage > 0 && s.Compare > 0 {
		if d.compared, err = r.compare(ctx, set.First(s.Compare), s.TwoStage, result.Metrics, tick); err != nil {
			return run.Result{}, err
		}
	}
	result.Detail = d
	return result, nil
}

func (r *Retriever) exhaustive(ctx context.Context, set rank.Set, scores string, tick run.Tick) (rank.Outcome, error) {
	var folder *rank.ScoreFolder
	if scores != "" {
		identity, err := r.scoreIdentity(ctx, set)
		if err != nil {
			return rank.Outcome{}, err
		}
		if folder, err = rank.OpenScoreFolder(scores, identity); err != nil {
			return rank.Outcome{}, err
		}
		defer folder.Close()
	}
	return r.scorer.Exhaustive(ctx, set, folder, tick)
}

// scoreIdentity says of what the scores of a set are. Images go in as the model sees them: that
// holds whatever changes a score, a file's content or how it is read.
func (r *Retriever) scoreIdentity(ctx context.Context, set rank.Set) (id rank.ScoreIdentity, err error) {
	if id.Model, err = r.modelDigest(); err != nil {
		return id, err
	}
	h := sha256.New()
	for i, tokens := range set.Texts {
		fmt.Fprintln(h, set.ImageOf[i], tokens)
	}
	id.Texts = hex.EncodeToString(h.Sum(nil))
	h.Reset()
	for im, err := range regions.Read(set.Images.Source, set.Images.IDs) {
		if err = cmp.Or(ctx.Err(), err); err != nil {
			return id, err
		}
		fmt.Fprintf(h, "%q %s\n", im.ID, im.Digest())
	}
	id.Images = hex.EncodeToString(h.Sum(nil))
	return id, nil
}

func (r *Retriever) twoStage(ctx context.Context, set rank.Set, n int, tick run.Tick) (rank.Outcome, error) {
	v, err := r.scorer.Vectors(ctx, set, func(int, int) {})
	if err != nil {
		return rank.Outcome{}, err
	}
	return r.scorer.TwoStage(ctx, set, v, n, tick)
}

// compare adds to m what two stages lose against scoring every pair, on a set. It returns a table of that.
func (r *Retriever) compare(ctx context.Context, set rank.Set, n int, m train.Numbers, tick run.Tick) (*report.Table, error) {
	two, err := r.twoStage(ctx, set, n, tick)
	if err != nil {
		return nil, err
	}
	every, err := r.scorer.Exhaustive(ctx, set, nil, tick)
	if err != nil {
		return nil, err
	}
	m[comparedImages] = train.Number(len(set.Images.IDs))
	two2, every2 := images.RecallNumbers(two.Recalls, set), images.RecallNumbers(every.Recalls, set)
	table := &report.Table{
		Title:  "Two stages against scoring every pair",
		Header: []string{fmt.Sprintf("on the first %d pictures", len(set.Images.IDs)), "every pair", "two stages", "lost"},
	}
	for _, direction := range []string{"image", "text"} {
		for _, k := range []string{"1", "5", "10"} {
			key := direction + "_recall@" + k
			lost := every2[key] - two2[key]
			m[compared+"exhaustive_"+key], m[compared+"two_stage_"+key], m[compared+"lost_"+key] = every2[key], two2[key], lost
			row := []string{key}
			for _, value := range []train.Number{every2[key], two2[key], lost} {
				row = append(row, fmt.Sprintf("%.4f", float64(value)))
			}
			table.Rows = append(table.Rows, row)
		}
	}
	return table, nil
}
