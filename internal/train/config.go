package train

import (
	"cmp"
	"fmt"

	"github.com/unimo-go/unimo/internal/base/settings"
	"github.com/unimo-go/unimo/internal/compute/optim"
)

// Config is what can be set about training. The keys are those of configuration
// files and of --set; help texts are in the struct tags.
type Config struct {
	Epochs               int     `json:"epochs" help:"passes over the training data"`
	MaxSteps             int     `json:"max_steps" help:"stop after this many steps (0: by epochs)"`
	BatchSize            int     `json:"batch_size" help:"examples of a batch, or tokens with in_tokens"`
	InTokens             bool    `json:"in_tokens" help:"batch_size counts tokens: examples x longest, as the reference does"`
	GradientAccumulation int     `json:"gradient_accumulation" help:"batches of one optimiser step"`
	ExchangeBfloat16     bool    `json:"exchange_bfloat16" help:"round gradients, so that processes send each other half as much (one alone rounds, too)"`
	ShardOptimizer       bool    `json:"shard_optimizer" help:"over several ranks: each keeps a part of Adam's moments, which is less memory and not other numbers"`
	Recompute            bool    `json:"recompute" help:"compute layers again on the way back instead of keeping what they computed: less memory, more time, the same numbers"`
	LearningRate         float64 `json:"learning_rate" help:"peak of the schedule"`
	LRScheduler          string  `json:"lr_scheduler" help:"linear_warmup_decay, noam_decay, scale_by_epoch_decay or constant"`
	WarmupProportion     float64 `json:"warmup_proportion" help:"share of the steps that warm up"`
	WeightDecay          float64 `json:"weight_decay" help:"decoupled decay of weights (not of biases and norms)"`
	Beta1                float64 `json:"beta1" help:"of Adam"`
	Beta2                float64 `json:"beta2" help:"of Adam"`
	Epsilon              float64 `json:"epsilon" help:"of Adam"`
	Moments              string  `json:"moments" help:"how Adam keeps its moments: float32, bfloat16 (half the memory) or factored (next to none, of matrices the second alone)"`
	ClipNorm             float64 `json:"clip_norm" help:"largest norm of all gradients together (0: no clipping)"`
	Seed                 uint64  `json:"seed" help:"of initial values, order of the data and dropout"`
	EvalSteps            int     `json:"eval_steps" help:"evaluate on dev every so many steps (0: after each epoch)"`
	EarlyStopping        int     `json:"early_stopping" help:"stop after this many evaluations without a better score (0: never)"`
	SnapshotSteps        int     `json:"snapshot_steps" help:"save a snapshot every so many steps (0: with each evaluation)"`
	SnapshotMinutes      float64 `json:"snapshot_minutes" help:"save a snapshot too when the newest is so many minutes old (0: never)"`
	MaxMinutes           float64 `json:"max_minutes" help:"save and stop after this many minutes, to be resumed (0: never)"`
	LogSteps             int     `json:"log_steps" help:"write the loss to log.jsonl every so many steps"`
	MPITimeout           float64 `json:"mpi_timeout" help:"over several ranks: minutes that one waits for the others in one operation before it ends (0: for ever)"`
}

// Default is the reference's fine-tuning with the constants all tasks share.
var Default = Config{
	Epochs: 10, BatchSize: 32, GradientAccumulation: 1,
	LearningRate: 3e-5, LRScheduler: optim.ScheduleLinear, WarmupProportion: 0.06,
	Beta1: optim.Default.Beta1, Beta2: optim.Default.Beta2, Epsilon: optim.Default.Epsilon, ClipNorm: optim.Default.ClipNorm,
	Moments: optim.MomentsFloat32,
	Seed:    1, SnapshotMinutes: 10, LogSteps: 10, MPITimeout: 10,
}

// maxMinutes is a century: more does not fit into a duration.
const maxMinutes = 100 * 365 * 24 * 60

var someMinutes = fmt.Sprintf("0 to %d, a century", maxMinutes)

// Free are the settings that cannot change what a run computes: a run may be resumed with others.
// (eval_steps is none of them: the best model is chosen among the evaluations.)
var Free = []string{"shard_optimizer", "recompute", "snapshot_steps", "snapshot_minutes", "max_minutes", "log_steps", "mpi_timeout"}

// Validate returns an error that names the first impossible value.
func (c Config) Validate() error {
	err := cmp.Or(
		settings.Want(c.Epochs >= 1, "epochs", c.Epochs, "1 or more"),
		settings.Want(c.MaxSteps >= 0, "max_steps", c.MaxSteps, "0 or more"),
		settings.Want(c.BatchSize >= 1, "batch_size", c.BatchSize, "1 or more"),
		settings.Want(c.GradientAccumulation >= 1, "gradient_accumulation", c.GradientAccumulation, "1 or more"),
		settings.Want(c.LearningRate >= 0 && c.LearningRate < 100, "learning_rate", c.LearningRate, "0 or more and less than 100"),
		settings.Want(c.WarmupProportion >= 0 && c.WarmupProportion <= 1, "warmup_proportion", c.WarmupProportion, "0 to 1"),
		settings.Want(c.WeightDecay >= 0 && c.WeightDecay < 100, "weight_decay", c.WeightDecay, "0 or more and less than 100"),
		settings.Want(c.Beta1 >= 0 && c.Beta1 < 1, "beta1", c.Beta1, "0 or more and less than 1"),
		settings.Want(c.Beta2 >= 0 && c.Beta2 < 1, "beta2", c.Beta2, "0 or more and less than 1"),
		settings.Want(c.Epsilon > 0 && c.Epsilon < 1, "epsilon", c.Epsilon, "more than 0 and less than 1"),
		settings.Want(c.ClipNorm >= 0, "clip_norm", c.ClipNorm, "0 or more"),
		settings.Want(c.EvalSteps >= 0, "eval_steps", c.EvalSteps, "0 or more"),
		settings.Want(c.EarlyStopping >= 0, "early_stopping", c.EarlyStopping, "0 or more"),
		settings.Want(c.SnapshotSteps >= 0, "snapshot_steps", c.SnapshotSteps, "0 or more"),
		settings.Want(c.SnapshotMinutes >= 0 && c.SnapshotMinutes <= maxMinutes, "snapshot_minutes", c.SnapshotMinutes, someMinutes),
		settings.Want(c.MaxMinutes >= 0 && c.MaxMinutes <= maxMinutes, "max_minutes", c.MaxMinutes, someMinutes),
		settings.Want(c.MPITimeout >= 0 && c.MPITimeout <= maxMinutes, "mpi_timeout", c.MPITimeout, someMinutes),
		settings.Want(c.LogSteps >= 1, "log_steps", c.LogSteps, "1 or more"),
	)
	if err != nil {
		return err
	}
	if err := optim.CheckMoments(c.Moments); err != nil {
		return err
	}
	if c.ShardOptimizer && c.Moments == optim.MomentsFactored {
		return fmt.Errorf("moments %s cannot be shared among ranks, as shard_optimizer wants: an average over a column needs all of its rows; choose one of the two", c.Moments)
	}
	_, err = optim.NewSchedule(c.LRScheduler, c.LearningRate, 0, 1, 1)
	return err
}

// optimiser returns the part that is the optimiser's.
func (c Config) optimiser() optim.Config {
	return optim.Config{Beta1: c.Beta1, Beta2: c.Beta2, Epsilon: c.Epsilon, WeightDecay: c.WeightDecay, ClipNorm: c.ClipNorm, Moments: c.Moments, Seed: c.Seed}
}
