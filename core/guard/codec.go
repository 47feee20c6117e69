package guard

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/market-intel-brain/dlm/core/guard/internal/rfc9111"
)

// codec is the form of a response outside the process:
//
//	uvarint  status
//	uvarint  time of receipt, nanoseconds of the Unix epoch
//	uvarint  age at that time, nanoseconds: no field tells what it waited for
//	field    variant
//	uvarint  number of field lines, then name and value of each
//	rest     body
//
// where a field is its length and its bytes. The name of the codec changes with
// the form, so that an old program takes a new one's responses for misses.
type codec struct{ policy *rfc9111.Policy }

func (codec) Name() string { return "dlm-response-2" }

func (codec) Marshal(v any) ([]byte, error) {
	r, ok := v.(*response)
	if !ok || r == nil {
		return nil, fmt.Errorf("guard: %T is no response", v)
	}
	b := make([]byte, 0, r.CacheSize())
	b = binary.AppendUvarint(b, uint64(r.status))
	b = binary.AppendUvarint(b, uint64(r.meta.ReceivedAt.UnixNano()))
	b = binary.AppendUvarint(b, uint64(r.meta.InitialAge))
	b = appendField(b, r.variant)
	lines := 0
	for _, values := range r.header {
		lines += len(values)
	}
	b = binary.AppendUvarint(b, uint64(lines))
	for name, values := range r.header {
		for _, value := range values {
			b = appendField(appendField(b, name), value)
		}
	}
	return append(b, r.body...), nil
}

var errForm = errors.New("guard: not a stored response")

// Unmarshal believes no length it reads: every field is cut from what is there.
func (c codec) Unmarshal(data []byte, v any) error {
	target, ok := v.(**response)
	if !ok {
		return fmt.Errorf("guard: %T takes no response", v)
	}
	d := decoder{rest: data}
	status, received, age := d.number(), d.number(), d.number()
	variant := d.field()
	header := make(http.Header)
	for lines := d.number(); lines > 0 && !d.failed; lines-- {
		name := string(d.field())
		header[name] = append(header[name], string(d.field()))
	}
	if d.failed || status < 200 || status > 599 || age > uint64(rfc9111.MaxDelta) {
		return errForm
	}
	for name, values := range header {
		header[name] = slices.Clip(values)
	}
	at := time.Unix(0, int64(received))
	resp := &response{
		status: int(status), header: header, body: slices.Clone(d.rest), variant: slices.Clone(variant),
		meta: c.policy.Describe(int(status), header, time.Time{}, at),
	}
	resp.meta.InitialAge = time.Duration(age)
	*target = resp
	return nil
}

type decoder struct {
	rest   []byte
	failed bool
}

func (d *decoder) number() uint64 {
	n, size := binary.Uvarint(d.rest)
	if size <= 0 {
		d.failed, d.rest = true, nil
		return 0
	}
	d.rest = d.rest[size:]
	return n
}

func (d *decoder) field() []byte {
	n := d.number()
	if n > uint64(len(d.rest)) {
		d.failed, d.rest = true, nil
		return nil
	}
	field := d.rest[:n]
	d.rest = d.rest[n:]
	return field
}
