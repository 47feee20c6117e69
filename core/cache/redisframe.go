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
//	uvarint     number of tags
//	2 bytes ×   bucket of each tag, big endian
//	the rest    the value
const (
	frameMagic = "dr\x01"
	frameHead  = len(frameMagic) + 16 + 8

	tagBuckets = 1 << 14
)

type frame struct {
	fence   uint64
	epoch   uint64
	buckets []uint16
	value   []byte
}

func (f frame) encode() []byte {
	b := make([]byte, 0, frameHead+binary.MaxVarintLen32+2*len(f.buckets)+len(f.value))
	b = append(b, frameMagic...)
	b = append(b, hexFence(f.fence)...)
	b = binary.BigEndian.AppendUint64(b, f.epoch)
	b = binary.AppendUvarint(b, uint64(len(f.buckets)))
	for _, bucket := range f.buckets {
		b = binary.BigEndian.AppendUint16(b, bucket)
	}
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
	rest := []byte(data[frameHead:])
	n, size := binary.Uvarint(rest)
	if size <= 0 || n > uint64(len(rest)-size)/2 {
		return f, errCorrupt
	}
	rest = rest[size:]
	for range n {
		bucket := binary.BigEndian.Uint16(rest)
		if bucket >= tagBuckets {
			return f, errCorrupt
		}
		f.buckets, rest = append(f.buckets, bucket), rest[2:]
	}
	f.value = rest
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
