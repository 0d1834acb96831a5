package model

import (
	"cmp"

	"github.com/unimo-go/unimo/internal/compute/nn"
)

// What models are built of; see package nn.
type (
	Init           = nn.Init
	Spec           = nn.Spec
	Parameter      = nn.Parameter
	Parameters     = nn.Parameters
	LoadReport     = nn.LoadReport
	NonFiniteError = nn.NonFiniteError

	declare = nn.Declare
	linear  = nn.Linear
	norm    = nn.Norm
)

// The reference's initialisers.
const (
	TruncatedNormal = nn.TruncatedNormal
	Zeros           = nn.Zeros
	Ones            = nn.Ones
	Xavier          = nn.Xavier
	PlaceNormal     = nn.PlaceNormal
)

// deviations returns those that parameters are drawn with.
func (c Config) deviations() nn.Deviations {
	return nn.Deviations{Normal: c.InitRange, Place: cmp.Or(c.PlaceInitRange, c.InitRange)}
}
