package sandbox

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
)

const base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// ids makes identifiers that depend on nothing but the seed, the kind, and how
// many of that kind there were before, so that the same seed gives the same
// run, and a run that is continued from a file gives no identifier twice.
type ids struct {
	seed     uint64
	counters map[string]uint64
}

// next counts one of the kind and returns its number, from 1.
func (s *ids) next(kind string) uint64 {
	s.counters[kind]++
	return s.counters[kind]
}

// draw returns n characters of the alphabet for the next of the kind.
func (s *ids) draw(kind, alphabet string, n int) string {
	rnd := chance(s.seed, kind, s.next(kind))
	b := make([]byte, n)
	for i := range b {
		b[i] = alphabet[rnd.IntN(len(alphabet))]
	}
	return string(b)
}

// hex returns n hexadecimal digits, such as a commit's 40.
func (s *ids) hex(kind string, n int) string {
	return s.draw(kind, "0123456789abcdef", n)
}

// guid returns a random (version 4) UUID in its text form.
func (s *ids) guid(kind string) string {
	rnd := chance(s.seed, kind, s.next(kind))
	hi, lo := rnd.Uint64(), rnd.Uint64()
	hi = hi&^0xf000 | 0x4000
	lo = lo&^(0b11<<62) | 0b10<<62
	return fmt.Sprintf("%08x-%04x-%04x-%04x-%012x", hi>>32, hi>>16&0xffff, hi&0xffff, lo>>48, lo&0xffffffffffff)
}

// chance returns the random numbers that belong to the nth occasion of a kind.
// Each occasion has its own, so that what happens to one object or event does
// not depend on how goroutines that deal with others take turns.
func chance(seed uint64, kind string, n uint64) *rand.Rand {
	h := fnv.New64a()
	h.Write([]byte(kind))
	return rand.New(rand.NewPCG(seed^h.Sum64(), n))
}
