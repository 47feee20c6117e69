package cache

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"
)

// What a Redis entry holds, version 1, around the bytes of an Item:
//
//	'd' 'r' 1   magic and version
//	16 bytes    fence, hexadecimal: set.lua compares it in place
//	8 bytes     tag epoch before the fetch, big endian
//	uvarint     number of tags, and each of them: its length as uvarint, its bytes
//	the rest    the value
const (
	frameMagic = "dr\x01"
	frameHead  = len(frameMagic) + 16 + 8

	tagBuckets = 1 << 14
)

type frame struct {
	fence uint64
	epoch uint64
	tags  []string
	value []byte
}

func (f frame) encode() []byte {
	b := make([]byte, 0, frameHead+64+len(f.value))
	b = append(b, frameMagic...)
	b = append(b, hexFence(f.fence)...)
	b = binary.BigEndian.AppendUint64(b, f.epoch)
	b = appendStrings(b, f.tags)
	return append(b, f.value...)
}

// decodeFrame allocates no more than data holds.
func decodeFrame(data string) (frame, error) {
	var f frame
	if len(data) < frameHead || !strings.HasPrefix(data, frameMagic) {
		return f, errCorrupt
	}
	fence, err := strconv.ParseUint(data[len(frameMagic):len(frameMagic)+16], 16, 64)
	if err != nil {
		return f, errCorrupt
	}
	f.fence = fence
	f.epoch = binary.BigEndian.Uint64([]byte(data[frameHead-8 : frameHead]))
	r := stringReader{rest: data[frameHead:], ok: true}
	f.tags = r.list()
	if !r.ok {
		return frame{}, errCorrupt
	}
	f.value = []byte(r.rest)
	return f, nil
}

func hexFence(fence uint64) string { return fmt.Sprintf("%016x", fence) }

// tagBucketOf is the same in every process.
func tagBucketOf(tag string) uint16 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(tag))
	return uint16(h.Sum32() % tagBuckets)
}

// redisMark is the purge state of a key as a Get saw it.
type redisMark struct {
	gen   string // of the key's bucket; "" when there is none
	epoch uint64 // of the tags
	fence uint64 // of the entry that was there
}

// unmarked asks set.lua for no check.
const unmarked = "*"

func (m redisMark) String() string {
	return m.gen + " " + strconv.FormatUint(m.epoch, 10) + " " + strconv.FormatUint(m.fence, 10)
}

func parseRedisMark(s string) (redisMark, error) {
	if s == "" {
		return redisMark{gen: unmarked}, nil
	}
	parts := strings.Split(s, " ")
	if len(parts) != 3 {
		return redisMark{}, fmt.Errorf("%w: Mark %q: not one of this store", ErrInvalid, s)
	}
	epoch, err1 := strconv.ParseUint(parts[1], 10, 64)
	fence, err2 := strconv.ParseUint(parts[2], 10, 64)
	if err1 != nil || err2 != nil {
		return redisMark{}, fmt.Errorf("%w: Mark %q: not one of this store", ErrInvalid, s)
	}
	return redisMark{gen: parts[0], epoch: epoch, fence: fence}, nil
}
