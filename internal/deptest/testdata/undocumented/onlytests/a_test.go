// Package onlytests has nothing but tests.
package onlytests
