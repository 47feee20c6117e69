package cache

import (
	"crypto/sha256"
	"encoding/hex"
	"hash/fnv"
	"strconv"
)

// The names in Redis. An entry and the purge generation of its bucket share a
// hash tag, so scripts work on a Cluster and a Ring; Redis looks at the first
// {…} only, so braces in a key change nothing.
//
//	dlm:c1:{2a7}:e:<namespace>NUL<key>  an entry
//	dlm:c1:{2a7}:h:<sha-256>            the entry of a key too long to be written out
//	dlm:c1:{2a7}:g                      the purge generation of the bucket, never expires
//	dlm:c1:{tags}:e                     the tag epoch, never expires
//	dlm:c1:{tags}:b                     the tag buckets, never expires
//	dlm:c1:news                         the Pub/Sub channel
//	dlm:c1:news:<id>                    the channel of one process' heartbeats
//
// The 1 is the version of this layout and of what is stored under it.
const redisLayout = ":c1:"

const (
	keyBuckets = 4096 // bounds the purge generations, whatever the number of keys
	maxLiteral = 128  // keeps a Redis key below 200 bytes with the longest prefix
	maxPrefix  = 32
)

func (r *Redis) namesOf(key string) (entry, gen string) {
	h := fnv.New32a()
	_, _ = h.Write([]byte(key))
	base := r.base + "{" + strconv.FormatUint(uint64(h.Sum32()%keyBuckets), 16) + "}:"
	if len(key) <= maxLiteral {
		return base + "e:" + key, base + "g"
	}
	sum := sha256.Sum256([]byte("dlm/cache key\x00" + key))
	return base + "h:" + hex.EncodeToString(sum[:]), base + "g"
}

func (r *Redis) tagNames() (buckets, epoch string) {
	return r.base + "{tags}:b", r.base + "{tags}:e"
}
