// Package ranks has processes that compute together, for tests: under MPI launchers, on one host or two.
package ranks
