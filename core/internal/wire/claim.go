package wire

import (
	"strconv"
	"time"
)

// Claim makes r two plain commands that servers execute several times faster than a
// script: SET lock record NX PX ttl, and ZADD fence XX GT CH score member, which
// moves an existing counter forward. Its Reply has Claim set, Text "OK" when
// the lock was set, Int 1 when the counter moved, and the error of the second
// command only when the lock was set. The counter's member is the Tail's Arg.
//
// XX never makes a counter, so a missing one is noticed. What r was before must
// have been answered by every node it was sent to.
func (r *Request) Claim(lock string, record []byte, ttl time.Duration, fence string, score uint64) {
	b := r.claim[:0]
	if n := 128 + len(lock) + len(record) + len(fence); cap(b) < n {
		b = make([]byte, 0, n)
	}
	b = append(b, "*6\r\n$3\r\nSET\r\n"...)
	b = appendBulk(b, lock)
	b = appendBulk(b, record)
	b = append(b, "$2\r\nNX\r\n$2\r\nPX\r\n"...)
	b = appendBulkInt(b, uint64(ttl.Milliseconds())) //nolint:gosec // positive
	b = append(b, "*7\r\n$4\r\nZADD\r\n"...)
	b = appendBulk(b, fence)
	b = append(b, "$2\r\nXX\r\n$2\r\nGT\r\n$2\r\nCH\r\n"...)
	r.claim = appendBulkInt(b, score)
	r.room[0] = lock
	r.Keys, r.hash = r.room[:1:1], hashOf(lock)
}

func appendBulkInt(b []byte, v uint64) []byte {
	var digits [20]byte
	return appendBulk(b, strconv.AppendUint(digits[:0], v, 10))
}

// joinClaim makes one reply of the two.
func joinClaim(set, fence Reply) Reply {
	if set.Err != nil {
		return Reply{Err: set.Err}
	}
	r := Reply{Claim: true, Text: set.Text}
	if set.Text != "" {
		r.Int, r.Err = fence.Int, fence.Err
	}
	return r
}
