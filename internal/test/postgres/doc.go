// Package postgres starts PostgreSQL servers with pgvector for tests, on loopback addresses. UNIMO_STORES names the bin folder of a Python
// environment that has them ("make stores" makes one); without it such tests are not run.
package postgres
