// Package bare is described in a test, where no reader looks.
package bare
