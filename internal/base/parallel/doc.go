// Package parallel runs the iterations of a loop on all processors.
//
// There is one pool of workers for the whole process. The workers are started
// when they are first needed and then stay; a call of [For] wakes them, takes
// part in the work itself, and returns when every iteration is done. Iterations
// are claimed one by one, in their order, from a shared counter, so an iteration that takes
// longer than the others delays nobody, and one may wait for what another before it does ([Await]).
//
// The pool serves one loop at a time. A loop that starts while another one
// runs, because it is nested in the body of the first or because it comes from
// another goroutine, runs its iterations in order on the calling goroutine.
// That is what nested loops want, the processors being busy already, and it
// cannot deadlock.
//
// [SetThreads] bounds all loops of the process, for a command. A [Limit] bounds the
// loops that run under it, for a part of a larger program: a server that holds
// several models gives each of them a limit.
//
// # Results that do not depend on the number of threads
//
// Which worker runs an iteration, and when, is not determined. A loop whose
// iterations write to separate places gives the same result on any number of
// threads. A loop that reduces (sums, say) must keep a partial result for each
// iteration, or each block of [ForBlocks], and add them in order afterwards:
// the blocks do not depend on the number of threads either.
package parallel
