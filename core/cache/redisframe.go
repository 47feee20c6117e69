package cache

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"
)

// What a Redis entry holds, version 2, around the bytes of an Item:
//
//	'd' 'r' 2   magic and version; another one is a miss
//	16 bytes    fence, hexadecimal: set.lua compares it in place, in any version
//	8 bytes     tag epoch before the fetch, big endian
//	8 bytes     fill: the same in both copies of one, and in no other
//	uvarint     number of tags, and each of them: its length as uvarint, its bytes
//	likewise    of the place of the other copy: nothing, or name, generation, tag epoch
//	the rest    the value
const (
	frameMagic = "dr\x02"
	frameHead  = len(frameMagic) + 16 + 8 + 8

	tagBuckets = 1 << 14
)

type frame struct {
	frameStart
	tags  []string
	peer  peerMark
	value []byte
}

// frameStart is what a frame begins with, in frameHead bytes.
type frameStart struct{ fence, epoch, fill uint64 }

// peerMark is the purge state, before the fetch, of the place that has the other
// copy; without a name there is none.
type peerMark struct {
	name, gen string
	epoch     uint64
}

func (f frame) encode() []byte {
	b := make([]byte, 0, frameHead+64+len(f.value))
	b = append(b, frameMagic...)
	b = append(b, hexFence(f.fence)...)
	b = binary.BigEndian.AppendUint64(b, f.epoch)
	b = binary.BigEndian.AppendUint64(b, f.fill)
	b = appendStrings(b, f.tags)
	b = appendStrings(b, f.peer.list())
	return append(b, f.value...)
}

func (m peerMark) list() []string {
	if m.name == "" {
		return nil
	}
	return []string{m.name, m.gen, strconv.FormatUint(m.epoch, 10)}
}

func peerMarkOf(list []string) (m peerMark, ok bool) {
	if len(list) == 0 {
		return m, true
	}
	if len(list) != 3 || list[0] == "" {
		return m, false
	}
	epoch, err := strconv.ParseUint(list[2], 10, 64)
	return peerMark{list[0], list[1], epoch}, err == nil
}

// decodeStart reports false for what is no frame of this version.
func decodeStart(data string) (s frameStart, ok bool) {
	if len(data) < frameHead || !strings.HasPrefix(data, frameMagic) {
		return s, false
	}
	hex, numbers := data[len(frameMagic):len(frameMagic)+16], []byte(data[frameHead-16:frameHead])
	fence, err := strconv.ParseUint(hex, 16, 64)
	return frameStart{fence, binary.BigEndian.Uint64(numbers), binary.BigEndian.Uint64(numbers[8:])}, err == nil
}

// decodeFrame allocates no more than data holds.
func decodeFrame(data string) (f frame, err error) {
	start, ok := decodeStart(data)
	if !ok {
		return f, errCorrupt
	}
	r := stringReader{rest: data[frameHead:], ok: true}
	f = frame{frameStart: start, tags: r.list()}
	f.peer, ok = peerMarkOf(r.list())
	if !r.ok || !ok {
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
