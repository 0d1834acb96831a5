// Command bench compares unimo with PyTorch, ONNX Runtime and PaddlePaddle on the
// work that users have, and prints one table.
//
//	go run ./bench                            everything, some 50 minutes
//	go run ./bench -workloads 2,4 -quick      a part of it, few repetitions
//	go run ./bench -from a.json,b.json        the table of numbers that -json kept
//	bench/gpu.sh                              on a GPU, against PyTorch
//	go run ./bench -worker train-sst2 -cpuprofile p    the profile of our side
//
// The model has the base size (12 layers of 768, vocabulary 50265) and random
// weights; token sequences are those of real data. README.md says what is measured
// how, and how to install the peers.
//
// Every contender is a process of its own: this program run as a worker, or a
// script of the folder peers. Workers read the same batches from a file and speak
// the protocol of [request] and [reply]. The driver takes them in turn, round by
// round, so that what disturbs the machine disturbs all of them.
package main
