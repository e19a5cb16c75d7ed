package providers

// Removal is what one batch of the retention has done.
type Removal struct {
	Removed int64
	// Last is the last event that was looked at, by its place in the inbox.
	Last int64
	More bool // there may be another batch
}
