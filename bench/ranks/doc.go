// Command ranks measures what a second process brings to training: two ranks of one thread against one process of one thread. From the root of the
// repository, some 15 minutes on two cores that have nothing else to do:
//
//	go run ./bench/ranks -init BERT -json FILE
//	go run ./bench/ranks -init BERT -workloads sst-2,slow -rounds 1      a part of it
//	go run ./bench/ranks -init BERT -set shard_optimizer=true            with a setting, for both
//	go run ./bench/ranks -arithmetic                                     what to expect of other links and more ranks
//
// BERT is a folder of BERT-base (or another starting point of the base size); without one the model has random weights. The workloads are
//
//	sst-2     32 sentences a batch, two batches a step, both ranks on this machine
//	eight     the same, eight batches a step
//	passages  8 passages of 400 to 480 tokens a batch, two batches a step, both ranks on this machine
//	fast      sst-2 over a cable of 10 Gbit/s
//	slow      sst-2 over a cable of 1 Gbit/s, eight batches a step
//	sharded   sst-2 with shard_optimizer, for the memory of a rank
//
// Both sides do the same work to the same bits, so each step is compared with itself. They take turns round by round. Each process is bound to a processor
// of its own: what a rank does besides computing takes time from its computing. A step's time ends with the update; what follows, logging say, is not in it.
//
// The cable is between two network namespaces, which internal/test/ranks/hosts.sh makes. Where they, tc or a launcher are not to be had,
// a workload is "not run".
package main
