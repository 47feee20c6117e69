package wire

import (
	"fmt"
	"time"
)

// progress is one batch of replies on its way to the calls in flight. Whoever reads is
// the only one who takes calls off the books, so it looks at them without mu, which
// senders need meanwhile, and takes them off all at once.
type progress struct {
	s        *Stream
	flights  ring // as it was when mu was last held
	matched  int  // of those
	ready    []delivery
	repeated bool // something was put behind what was sent
}

func (s *Stream) progress() progress {
	s.mu.Lock()
	defer s.mu.Unlock()
	return progress{s: s, flights: s.flights, ready: s.deliveries[:0]}
}

func (p *progress) front() *flight { return p.flights.at(p.matched) }

// answer gives the oldest call its reply.
func (p *progress) answer(r *Reply) {
	c := &p.front().call
	p.ready = append(p.ready, delivery{c.To, c.Node, c.Wait, *r})
	p.matched++
}

// match finds whom r is for, unless r is only half of an answer, or none because the
// server has forgotten the script.
func (p *progress) match(r *Reply) error {
	if p.matched == p.flights.len() {
		return fmt.Errorf("%w: nothing was asked", errProtocol)
	}
	s, f := p.s, p.front()
	switch {
	case f.joined > 0:
		return p.matchJoint(f.joined, r)
	case f.call.Req.claim != nil && !s.half:
		s.half, s.first = true, *r // the second reply completes it
		return nil
	case s.half:
		*r = joinClaim(s.first, *r)
		s.half, s.first = false, Reply{}
	}
	r.Repeated = f.again
	if scriptForgotten(r) && !f.whole {
		if p.again(s.repeat) {
			return nil
		}
		r.Err = ErrAbandoned
	}
	p.answer(r)
	return nil
}

// again has the oldest call sent again, unless it was given up. Both under mu, so that
// its release is sent from now on, and stands behind it, or keeps it from being sent.
func (p *progress) again(repeat func()) bool {
	s := p.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.front().call.abandoned() {
		return false
	}
	s.flights.drop(p.matched)
	repeat()
	p.flights, p.matched, p.repeated = s.flights, 0, true
	return true
}

// repeat sends the oldest call with its script. mu is held.
func (s *Stream) repeat() {
	f := s.flights.pop()
	f.at, f.whole = time.Now(), true
	s.out = appendRun(s.out, f.call.Req, f.call.Tail, true)
	s.flights.push(f)
}

// end takes the answered calls off the books.
func (p *progress) end() []delivery {
	s := p.s
	s.mu.Lock()
	s.flights.drop(p.matched)
	if s.behind = (time.Time{}); s.in.Buffered() > 0 {
		s.behind = time.Now()
	}
	s.note(p.ready)
	if s.busy() == 0 {
		s.empty()
	}
	s.mu.Unlock()
	if p.repeated {
		s.wakeWriter()
	}
	return p.ready
}
