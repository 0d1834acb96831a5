// Package train runs the training of any task: steps, evaluation, snapshots, the
// log and resuming.
//
// It knows neither models nor data. A [Task] gives it parameters, batches by
// number, and the loss of a batch; it gives the task's model folder back through
// Task.Save. Everything that happens in a step is a function of the snapshot it
// starts from: batches are found by number, or come from a stream whose place is in the
// snapshot ([Streamer]), and dropout masks go by the number of the pass. So a run that was
// killed and resumed ends in the same bits as one that was not.
//
// # A run is a folder
//
//	best/          the model with the best score on dev, ready to use
//	last/          the model as it is now
//	snapshots/     step-NNNNNNNN.safetensors: everything a resumed run needs
//	log.jsonl      one line per event
//	run.json       resolved configuration, versions, seed, data, status, result
//	report.html    written by the caller at the end
//
// Every file appears whole or not at all. The two newest snapshots are kept.
//
//	config.go    what can be set
//	trainer.go   the loop
//	ranks.go     which process computes what
//	exchange.go  how gradients get from one to the others
//	snapshot.go  saving and restoring its state
//	rundir.go    the folder, run.json
//	log.go       log.jsonl
//	number.go    measurements that may be undefined, in JSON
package train
