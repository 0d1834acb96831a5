// Package detector finds objects: its regions are boxes around them, with the names that COCO gives to 80 kinds of things.
//
// It opens CenterNet and NanoDet, as graphs of TensorFlow.js, which package graph runs:
//
//	pixels --graph--> heads, maps of features --head.candidates--> a box, a class and its score, of each place
//	   --distinct--> those that are not the same object again --pool--> regions with features
//
//	open.go       which model it is, what it is opened with again
//	network.go    Run: from heads to regions
//	centernet.go  CenterNet's heads: peaks
//	nanodet.go    NanoDet's heads: distributions over distances
//	boxes.go      intersection over union, what is the same object
//	pool.go       the feature of a box
//	coco.go       the 80 names
//
// # Regions
//
// Of the candidates, non-maximum suppression drops those that overlap a better one of their class, or lie almost exactly
// where any better one lies. Of the rest, regions are those with a score of 0.2 or more, 36 at most; and always the best 10,
// whatever their scores, as features for bottom-up attention have them: a model that reads pictures wants to see something. "regions" in
// the configuration changes these numbers (see Regions).
//
// A region's feature is the mean of two maps of features over its box: the last one that all heads share (fine, near to what the
// heads say), and the coarsest one that they share (what is around). The picture's own is their mean.
//
// A detector gives each class a probability of its own. Class probabilities that sum to 1 are those that follow if just one of the classes is
// there: p/(1-p), divided by the sum over the classes, the softmax of the logits.
package detector
