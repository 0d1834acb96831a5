// Command serve measures "unimo serve" behind a load generator (vegeta), beside other servers with the same weights, and
// tries to wear it out. From the root of the repository:
//
//	go -C bench/serve run . -model MINILM -infinity PYTHON -onnx PYTHON -json FILE
//	go -C bench/serve run . -model MINILM -parts overload,endurance -json FILE
//	go -C bench/serve run . -json FILE -table                      the tables of what was measured
//
// The parts are
//
//	throughput  requests and sentences a second at several numbers of connections, in interleaved rounds
//	latency     at 80 % of the peak that throughput found, at a constant rate
//	overload    four times the peak: what is answered, how much of it, in how much memory
//	endurance   SIGTERM under load, again and again; clients that leave, that are slow, that send nonsense
//
// FILE keeps all numbers. A part that it has is not measured again, unless -again says so.
//
// Generator and server share the machine, for every server alike. While one is measured the others are stopped (SIGSTOP).
// All traffic goes to 127.0.0.1.
package main
