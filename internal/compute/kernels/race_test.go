//go:build race

package kernels

// raceDetector: with it a sync.Pool drops things at random.
const raceDetector = true
