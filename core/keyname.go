package core

import (
	"crypto/sha256"
	"encoding/hex"
	"hash/fnv"
	"strconv"
	"strings"
)

// The names in Redis. Everything a script touches for one lock shares one hash
// tag, so the lock also works on a Cluster; the tag is the bucket's number, and
// since Redis looks at the first {…} only, braces in a key change nothing.
//
//	dlm:1:{2a7}:l:order_42   the lock, a string
//	dlm:1:{2a7}:h:<sha-256>  the lock of a key too long to be written out
//	dlm:1:{2a7}:f            the bucket's fencing counter, never expires
//	dlm:1:{2a7}:ql:order_42  processes waiting for the lock, a sorted set
//	dlm:1:node               the node's marker, see quarantine.go
//
// The 1 is the version of this layout: two versions can share a Redis without
// meeting, and so must not guard the same resource at the same time.
const layoutVersion = "1"

// buckets bounds the fencing counters: 1024 numbers a node, whatever the number
// of keys. Two keys of one bucket share a counter, which costs nothing
// but gaps, and a raise when their acquisitions cross.
const buckets = 1024

// maxLiteral keeps a Redis key below 200 bytes with the longest prefix.
const maxLiteral = 128

// names are the Redis keys of one lock.
type names struct {
	lock, fence, queue string
	bucket             int
}

func (m *Manager) namesOf(key string) names {
	h := fnv.New32a()
	_, _ = h.Write([]byte(key))
	bucket := h.Sum32() % buckets
	kind := byte('l')
	if len(key) > maxLiteral {
		sum := sha256.Sum256([]byte(key))
		kind, key = 'h', hex.EncodeToString(sum[:])
	}
	var space [3 * (maxPrefix + maxLiteral + 16)]byte
	b := m.appendBase(space[:0], bucket)
	b = append(append(b, kind, ':'), key...)
	lock := len(b)
	b = append(m.appendBase(b, bucket), 'q', kind, ':')
	b = append(b, key...)
	queue := len(b)
	b = append(m.appendBase(b, bucket), 'f')
	all := string(b) // the three names share it
	return names{lock: all[:lock], queue: all[lock:queue], fence: all[queue:], bucket: int(bucket)}
}

func (m *Manager) appendBase(b []byte, bucket uint32) []byte {
	b = append(append(b, m.keyBase...), '{')
	b = strconv.AppendUint(b, uint64(bucket), 16)
	return append(b, "}:"...)
}

// queueOf names the queue of a lock by the lock's name.
func (m *Manager) queueOf(lock string) string {
	tag := len(m.keyBase) + strings.Index(lock[len(m.keyBase):], "}:") + len("}:")
	return lock[:tag] + "q" + lock[tag:]
}

// isLock reports whether name is one that namesOf makes for a lock. Names that
// come over Pub/Sub may be anybody's who is allowed to publish.
func (m *Manager) isLock(name string) bool {
	rest, ours := strings.CutPrefix(name, m.keyBase+"{")
	_, kind, tagged := strings.Cut(rest, "}:")
	return ours && tagged && (strings.HasPrefix(kind, "l:") || strings.HasPrefix(kind, "h:"))
}
