package wire

import (
	"fmt"
	"hash/maphash"
	"slices"
	"time"
)

// A joint run does the work of several runs of one script: under load the runs
// that wait for the writer go out as one, which costs the server far less than
// each by itself. They are put behind what was sent meanwhile, and so must be of
// a kind that may come later than it was sent, but not behind a call about the
// same key.

// maxJoint bounds how long a joint run keeps the server from others.
const maxJoint = 32

// joint are the calls that the next joint run will do.
type joint struct {
	flights []flight
	keys    []uint64 // what their first keys hash to
}

// joins reports whether the call may be part of a joint run.
func (c *Call) joins() bool {
	return c.Req.claim == nil && c.Req.Script.joint != nil && c.Tail == (Tail{}) && c.Abandoned == nil &&
		len(c.Req.Keys) > 0 && len(c.Req.Args) > 0
}

// suits reports whether there is room for the request, which differs from those that
// are here in its keys and its first argument only.
func (j *joint) suits(r *Request) bool {
	switch len(j.flights) {
	case 0:
		return true
	case maxJoint:
		return false
	}
	first := j.flights[0].call.Req
	return first.Script == r.Script && len(first.Keys) == len(r.Keys) && slices.Equal(first.Args[1:], r.Args[1:])
}

func (j *joint) add(f flight) {
	j.flights = append(j.flights, f)
	j.keys = append(j.keys, f.call.Req.hash)
}

// concerns reports whether the request must not overtake what is here. Claims tell by
// their key; of anything else that is not known.
func (j *joint) concerns(r *Request) bool {
	return len(j.keys) > 0 && (r.claim == nil || slices.Contains(j.keys, r.hash))
}

var keySeed = maphash.MakeSeed()

func hashOf(key string) uint64 { return maphash.String(keySeed, key) }

// enter puts a call into flight and encodes it, or leaves that to the next write
// if it joins others there. mu is held.
func (s *Stream) enter(f flight, alone bool) {
	joins := !alone && f.call.joins()
	if joins && !s.joint.suits(f.call.Req) || !joins && s.joint.concerns(f.call.Req) {
		s.closeJoint()
	}
	if joins {
		s.joint.add(f)
		return
	}
	s.flights.push(f)
	s.out = f.call.Req.append(s.out, f.call.Tail)
}

// closeJoint puts the joint run behind what was sent before. mu is held.
func (s *Stream) closeJoint() {
	f := s.joint.flights
	if len(f) == 0 {
		return
	}
	if len(f) == 1 {
		s.out = f[0].call.Req.append(s.out, Tail{})
	} else {
		f[0].joined = len(f)
		s.out = appendJoint(s.out, f, false)
	}
	s.dissolveJoint()
}

// dissolveJoint puts its calls into the books. mu is held.
func (s *Stream) dissolveJoint() {
	for _, f := range s.joint.flights {
		s.flights.push(f)
	}
	clear(s.joint.flights)
	s.joint.flights, s.joint.keys = s.joint.flights[:0], s.joint.keys[:0]
}

// appendJoint encodes a joint run: the first keys of all, their second keys and so
// on, then the first argument of each and the others, which they share.
func appendJoint(b []byte, flights []flight, whole bool) []byte {
	first := flights[0].call.Req
	keys := len(first.Keys) * len(flights)
	b = appendRunHead(b, first.Script.joint, keys, len(flights)+len(first.Args)-1, whole)
	for k := range first.Keys {
		for i := range flights {
			b = appendBulk(b, flights[i].call.Req.Keys[k])
		}
	}
	for i := range flights {
		b = appendBulk(b, flights[i].call.Req.Args[0])
	}
	for _, a := range first.Args[1:] {
		b = appendBulk(b, a)
	}
	return b
}

// matchJoint is match for the calls of a joint run, n of them. Its reply is one for all
// of them, or a list with one for each.
func (p *progress) matchJoint(n int, r *Reply) error {
	if len(r.Items) != 0 && len(r.Items) != n {
		return fmt.Errorf("%w: %d answers to %d runs", errProtocol, len(r.Items), n)
	}
	if scriptForgotten(r) && !p.front().whole && p.again(func() { p.s.repeatJoint(n) }) {
		return nil // none of them is given up: see joins
	}
	for i := range n {
		own := r
		if len(r.Items) != 0 {
			own = &r.Items[i]
		}
		p.answer(own)
	}
	return nil
}

// repeatJoint sends a joint run with its script. mu is held.
func (s *Stream) repeatJoint(n int) {
	now, again := time.Now(), make([]flight, n)
	for i := range again {
		again[i] = s.flights.pop()
		again[i].at, again[i].whole = now, true
	}
	s.out = appendJoint(s.out, again, true)
	for _, f := range again {
		s.flights.push(f)
	}
}
