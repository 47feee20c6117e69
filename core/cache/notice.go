package cache

import "encoding/binary"

// The form of a change on the channel: version 1, flags (bit 0: filled), then
// as uvarint-counted strings the origin and the lock, and as uvarint-counted
// lists of such strings the keys and the tags.
const noticeVersion = 1

func (c change) encode() []byte {
	flags := byte(0)
	if c.filled {
		flags = 1
	}
	b := []byte{noticeVersion, flags}
	b = appendString(b, c.origin)
	b = appendString(b, c.lock)
	return appendStrings(appendStrings(b, c.keys), c.tags)
}

func appendStrings(b []byte, list []string) []byte {
	b = binary.AppendUvarint(b, uint64(len(list)))
	for _, s := range list {
		b = appendString(b, s)
	}
	return b
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// decodeChange reports false for what this version did not write.
func decodeChange(data string) (c change, ok bool) {
	if len(data) < 2 || data[0] != noticeVersion || data[1] > 1 {
		return c, false
	}
	r := stringReader{rest: data[2:], ok: true}
	c = change{filled: data[1] == 1, origin: r.text(), lock: r.text(), keys: r.list(), tags: r.list()}
	return c, r.ok && r.rest == ""
}

// stringReader reads counted strings. It stays not ok after the first thing it
// cannot read, and allocates no more than the data holds.
type stringReader struct {
	rest string
	ok   bool
}

func (r *stringReader) count() int {
	n, size := binary.Uvarint([]byte(r.rest[:min(len(r.rest), binary.MaxVarintLen64)]))
	// What is counted takes at least a byte each, so no count exceeds the rest.
	if !r.ok || size <= 0 || n > uint64(len(r.rest)-size) {
		r.ok = false
		return 0
	}
	r.rest = r.rest[size:]
	return int(n)
}

func (r *stringReader) text() string {
	n := r.count()
	s := r.rest[:n]
	r.rest = r.rest[n:]
	return s
}

func (r *stringReader) list() (list []string) {
	for range r.count() {
		list = append(list, r.text())
	}
	return list
}
