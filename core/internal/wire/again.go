package wire

import "time"

// Repeater is a Receiver of a call that may be executed twice. When the
// connection breaks before the answer, nobody knows whether the server has
// executed it; so it is sent again on the next connection, in its old place in
// the order, and that answer is marked as Repeated. One attempt to connect
// decides, and Timeout bounds the whole.
type Repeater interface {
	Receiver
	// Repeat returns what to send now in place of sent, or nil for nothing. It must
	// not lock anything.
	Repeat(node int, sent *Request) *Request
}

// Claims reports whether the request is a Claim, which would refuse to its own
// lock what it has taken.
func (r *Request) Claims() bool { return r.claim != nil }

// repeatable reports whether the call may be sent again at now.
func (s *Stream) repeatable(f *flight, now time.Time) bool {
	_, ok := f.call.To.(Repeater)
	return ok && !f.call.abandoned() && now.Sub(f.at) < s.opt.Timeout
}

// takeLost takes the calls off the books that a broken connection leaves without
// an answer; keep leaves those there that can be sent again. mu is held.
func (s *Stream) takeLost(keep bool) (lost []flight) {
	now := time.Now()
	for range s.flights.len() {
		f := s.flights.pop()
		f.joined, f.whole = 0, false
		if keep && s.repeatable(&f, now) {
			f.again = true
			s.flights.push(f)
			continue
		}
		lost = append(lost, f)
	}
	return lost
}

// encodeWaiting encodes what waits for a new connection, and takes off the books
// what is not to be sent again after all. mu is held.
func (s *Stream) encodeWaiting() (lost []flight) {
	now := time.Now()
	s.out = s.out[:0]
	for range s.flights.len() {
		f := s.flights.pop()
		if f.again && !s.renew(&f, now) {
			lost = append(lost, f)
			continue
		}
		s.out = f.call.Req.append(s.out, f.call.Tail)
		s.flights.push(f)
	}
	return lost
}

// renew makes the call what its Repeater wants sent now, and reports whether that is
// anything. mu is held.
func (s *Stream) renew(f *flight, now time.Time) bool {
	if !s.repeatable(f, now) {
		return false
	}
	req := f.call.To.(Repeater).Repeat(f.call.Node, f.call.Req) //nolint:errcheck,forcetypeassert // repeatable
	if req == nil {
		return false
	}
	f.call.Req = req
	return true
}

// tell gives the calls a connection's end for an answer: those that were sent may
// or may not have been executed.
func tell(lost []flight, cause error, sent bool) {
	for _, f := range lost {
		err := cause
		if !sent && !f.again {
			err = &notSent{cause}
		}
		f.call.To.Receive(f.call.Node, Reply{Err: err})
	}
}
