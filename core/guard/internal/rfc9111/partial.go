package rfc9111

import (
	"io"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"
)

// Partial is the answer to a GET from a whole representation in memory: 200,
// 206 or 416.
type Partial struct {
	Status int
	Length int64 // of the content

	ranges      []Range
	size        int64
	contentType string // of the representation
	boundary    string // of multipart/byteranges, else empty
}

// PlanPartial decides how to answer the Range field in lines from size bytes of
// contentType. If-Range is the caller's to ask about first: see RangeApplies.
func PlanPartial(lines []string, size int64, contentType string) Partial {
	ranges, outcome := ParseRanges(lines, size)
	p := Partial{Status: http.StatusOK, Length: size, size: size, contentType: contentType}
	switch {
	case outcome == RangesUnsatisfiable:
		p.Status, p.Length = http.StatusRequestedRangeNotSatisfiable, 0
	case len(ranges) == 1:
		p.Status, p.ranges, p.Length = http.StatusPartialContent, ranges, ranges[0].Length
	case len(ranges) > 1:
		p.Status, p.ranges = http.StatusPartialContent, ranges
		p.boundary = multipart.NewWriter(io.Discard).Boundary()
		p.Length = p.framedLength()
	}
	return p
}

// SetHeader turns the stored fields in h into those of the answer.
func (p *Partial) SetHeader(h http.Header) {
	switch p.Status {
	case http.StatusPartialContent:
		delete(h, "Content-Md5") // both are digests of the whole
		delete(h, "Content-Digest")
	case http.StatusRequestedRangeNotSatisfiable:
		setUnsatisfiable(h, p.size)
	}
	switch {
	case p.boundary != "":
		h["Content-Type"] = []string{"multipart/byteranges; boundary=" + p.boundary}
	case len(p.ranges) == 1:
		h["Content-Range"] = []string{p.ranges[0].contentRange(p.size)}
	}
	h["Content-Length"] = []string{strconv.FormatInt(p.Length, 10)}
}

// setUnsatisfiable takes away what the stored fields say about content a 416
// does not have, and the permission to cache it.
func setUnsatisfiable(h http.Header, size int64) {
	for name := range h {
		if describesContent(name) || strings.HasSuffix(name, "Cache-Control") {
			delete(h, name)
		}
	}
	for _, name := range [...]string{"Age", "Etag", "Expires", "Last-Modified"} {
		delete(h, name)
	}
	h["Content-Range"] = []string{"bytes */" + strconv.FormatInt(size, 10)}
}

// Write sends the content of the answer, taken from the whole representation.
func (p *Partial) Write(w io.Writer, body []byte) error {
	switch {
	case p.Status == http.StatusRequestedRangeNotSatisfiable:
		return nil
	case p.boundary != "":
		return p.writeParts(w, func(w io.Writer, r Range) error {
			_, err := w.Write(body[r.Start : r.Start+r.Length])
			return err
		})
	case len(p.ranges) == 1:
		r := p.ranges[0]
		body = body[r.Start : r.Start+r.Length]
	}
	_, err := w.Write(body)
	return err
}

// writeParts frames the ranges as RFC 9110 §14.6 does.
func (p *Partial) writeParts(w io.Writer, content func(io.Writer, Range) error) error {
	parts := multipart.NewWriter(w)
	if err := parts.SetBoundary(p.boundary); err != nil {
		return err
	}
	for _, r := range p.ranges {
		part, err := parts.CreatePart(p.partHeader(r))
		if err != nil {
			return err
		}
		if err := content(part, r); err != nil {
			return err
		}
	}
	return parts.Close()
}

func (p *Partial) partHeader(r Range) textproto.MIMEHeader {
	h := textproto.MIMEHeader{"Content-Range": {r.contentRange(p.size)}}
	if p.contentType != "" {
		h["Content-Type"] = []string{p.contentType}
	}
	return h
}

// framedLength is the length of the content with its frames.
func (p *Partial) framedLength() int64 {
	var n counter
	// Neither the counter nor a boundary of multipart's own making can fail.
	_ = p.writeParts(&n, func(_ io.Writer, r Range) error {
		n += counter(r.Length)
		return nil
	})
	return int64(n)
}

type counter int64

func (c *counter) Write(b []byte) (int, error) {
	*c += counter(len(b))
	return len(b), nil
}

// contentRange is the value of Content-Range (RFC 9110 §14.4).
func (r Range) contentRange(size int64) string {
	b := append(make([]byte, 0, 64), "bytes "...)
	b = strconv.AppendInt(b, r.Start, 10)
	b = strconv.AppendInt(append(b, '-'), r.Start+r.Length-1, 10)
	return string(strconv.AppendInt(append(b, '/'), size, 10))
}
