// Package fine says what it is for.
package fine
