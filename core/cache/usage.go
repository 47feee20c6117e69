package cache

// Usage is what a Memory holds.
type Usage struct {
	Bytes   uint64 // about, keys and bookkeeping included
	Limit   uint64 // NewMemory's
	Entries int    // about, expired ones that nobody asked for since included
}

// Usage says how full the Memory is. It is safe to call at any time, and cheap
// enough for every scrape of a monitoring system.
func (m *Memory) Usage() Usage {
	m.cells.CleanUp() // counts what is still in its write buffer
	return Usage{Bytes: m.cells.WeightedSize(), Limit: m.limit, Entries: m.cells.EstimatedSize()}
}

// Usage says how full the Memory in front is.
func (t *Tiered) Usage() Usage { return t.near.Usage() }
