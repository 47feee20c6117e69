package cache

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"time"
)

// The form of an entry outside the process, version 1:
//
//	'd' 'c'     magic
//	1           version; another one is a miss, so old and new programs can share a Redis
//	flags       bits 0–1 kind, bit 2 compressed (flate), others 0
//	uvarint ×4  fresh, stale, stale-if-error, fetch time, in milliseconds
//	length+name codec
//	CRC-32C     of all that is before and after it, big endian
//	payload     the encoded value, or of a negative entry: name NUL text
//
// No clock is in it: the age is the whole lifetime less the TTL that the store
// has left, so the clocks of two hosts need not agree.
const (
	envelopeMagic   = "dc"
	envelopeVersion = 1
	flagKind        = 0b011
	flagCompressed  = 0b100
)

// errCorrupt marks a stored value that this program did not write, or that was
// damaged. It is a miss.
var errCorrupt = errors.New("not a cache entry")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// envelope is a decoded form.
type envelope struct {
	span    span
	codec   string
	payload []byte
}

func (e envelope) encode(compressAbove int) []byte {
	payload, flags := e.payload, byte(e.span.kind)
	if compressAbove >= 0 && len(payload) > compressAbove {
		if small := deflate(payload); len(small) < len(payload) {
			payload, flags = small, flags|flagCompressed
		}
	}
	b := make([]byte, 0, len(payload)+64)
	b = append(b, envelopeMagic...)
	b = append(b, envelopeVersion, flags)
	for _, d := range []time.Duration{e.span.fresh, e.span.stale, e.span.onErr, e.span.delta} {
		b = binary.AppendUvarint(b, uint64(max(d, 0).Milliseconds()))
	}
	b = append(b, byte(len(e.codec)))
	b = append(b, e.codec...)
	sum := crc32.Update(crc32.Checksum(b, castagnoli), castagnoli, payload)
	b = binary.BigEndian.AppendUint32(b, sum)
	return append(b, payload...)
}

// decodeEnvelope allocates nothing on the word of a length in the data: a
// payload is at most what data holds, and inflating stops at limit.
func decodeEnvelope(data []byte, limit int) (envelope, error) {
	var e envelope
	if len(data) < 4 || string(data[:2]) != envelopeMagic {
		return e, errCorrupt
	}
	if data[2] != envelopeVersion {
		return e, fmt.Errorf("%w: version %d", errCorrupt, data[2])
	}
	flags := data[3]
	e.span.kind = kind(flags & flagKind)
	if flags&^(flagKind|flagCompressed) != 0 || e.span.kind > kindUncacheable {
		return e, fmt.Errorf("%w: flags %#x", errCorrupt, flags)
	}
	rest := data[4:]
	for _, field := range []*time.Duration{&e.span.fresh, &e.span.stale, &e.span.onErr, &e.span.delta} {
		ms, n := binary.Uvarint(rest)
		if n <= 0 || ms > uint64(maxLifetime.Milliseconds()) {
			return e, fmt.Errorf("%w: lifetime", errCorrupt)
		}
		*field, rest = time.Duration(ms)*time.Millisecond, rest[n:]
	}
	if len(rest) < 1 || len(rest) < 1+int(rest[0])+4 {
		return e, fmt.Errorf("%w: cut short", errCorrupt)
	}
	n := int(rest[0])
	e.codec, rest = string(rest[1:1+n]), rest[1+n:]
	head := data[:len(data)-len(rest)]
	e.payload = rest[4:]
	if crc32.Update(crc32.Checksum(head, castagnoli), castagnoli, e.payload) != binary.BigEndian.Uint32(rest) {
		return e, fmt.Errorf("%w: checksum", errCorrupt)
	}
	return e.inflated(flags&flagCompressed != 0, limit)
}

func (e envelope) inflated(compressed bool, limit int) (envelope, error) {
	if compressed {
		r := flate.NewReader(bytes.NewReader(e.payload))
		plain, err := io.ReadAll(io.LimitReader(r, int64(limit)+1))
		if err != nil {
			return e, fmt.Errorf("%w: %v", errCorrupt, err)
		}
		e.payload = plain
	}
	if len(e.payload) > limit {
		return e, fmt.Errorf("%w: larger than %d bytes", errCorrupt, limit)
	}
	return e, nil
}

func deflate(data []byte) []byte {
	var b bytes.Buffer
	w, _ := flate.NewWriter(&b, flate.BestSpeed) // the level is a valid constant
	_, _ = w.Write(data)                         // a bytes.Buffer takes everything
	_ = w.Close()
	return b.Bytes()
}
