// Package integration tells stories on real parts: a signed request comes
// in over HTTP, Temporal runs in the test process, a fake platform that keeps
// state answers the fetches, and the record is read from the database. Start
// with harness_test.go, then any other file: each is about one kind of trouble.
package integration
