// Package adversarial trains on a batch and on small changes of it that make the loss large: FreeLB and VILLA.
//
// What is attacked are the sums of the tokens' embeddings, or the features of regions. An attack adds to them, begins by
// chance, and goes a few steps along the gradient of the loss. The parameters get the gradient of
//
//	Σ over steps of (clean/K + text/K + image/K) + weight · Σ over steps and attacks of divergence(clean, attacked)
//
// in which what was added counts as constant. The passes run one after the other, so a batch takes the memory of one.
// The clean pass is the same in every step and is computed once: forwards before the attacks, for what they are
// compared with, and again with the way back after them, when the gradient of all divergences by its output is known.
// What is not attacked is embedded once.
//
// Source: Zhu et al., "FreeLB", ICLR 2020; Gan et al., "Large-Scale Adversarial Training for Vision-and-Language
// Representation Learning" (VILLA), NeurIPS 2020; the rule of a step is by default that of UNIMO's reference.
package adversarial
