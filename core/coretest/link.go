package coretest

import (
	"bytes"
	"context"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// The directions of a link.
const (
	requests = 0 // from the client to the server
	replies  = 1
)

const (
	chunkSize  = 16 << 10
	chunksKept = 64
)

// A link is one client's connection and the connection to the server that
// belongs to it. Each direction has a goroutine that reads and one that
// delivers; all end when ctx does, which also closes both connections.
type link struct {
	proxy  *Proxy
	ctx    context.Context
	cancel context.CancelFunc
	ends   [2]*net.TCPConn // by the direction that is read from it

	mute   atomic.Bool // has lost bytes; passes none any more
	doomed atomic.Bool // the next reply is dropped and the client cut off
}

// A chunk is what one read gave, and when.
type chunk struct {
	bytes []byte
	at    time.Time
}

// A dropRule says to which commands replies are lost. The zero rule is none.
type dropRule struct {
	all bool
	arg []byte // in lower case, as it stands in a command on the wire
}

func newDropRule(arg string) dropRule {
	return dropRule{arg: []byte("\r\n" + strings.ToLower(arg) + "\r\n")}
}

func (r dropRule) covers(request []byte) bool {
	return r.all || len(r.arg) > 0 && bytes.Contains(bytes.ToLower(request), r.arg)
}

// A cutRule is known by its address, so that each connection counts its own
// bytes afresh under a new one.
type cutRule struct{ after int }

// open serves one client in goroutines of its own.
func (p *Proxy) open(client *net.TCPConn) {
	l := &link{proxy: p}
	l.ctx, l.cancel = context.WithCancel(p.ctx)
	l.ends[requests] = client
	p.mu.Lock()
	p.accepted++
	p.links[l] = struct{}{}
	p.mu.Unlock()
	p.running.Go(l.run)
}

func (l *link) run() {
	defer l.forget()
	var dialer net.Dialer
	conn, err := dialer.DialContext(l.ctx, "tcp", l.proxy.target)
	if err != nil {
		// What a client sees of a server that is down is a connection that
		// does not come about; a reset is the nearest to it that is left.
		_ = l.ends[requests].SetLinger(0)
		_ = l.ends[requests].Close()
		return
	}
	l.ends[replies] = conn.(*net.TCPConn)
	ended := [2]chan struct{}{make(chan struct{}), make(chan struct{})}
	for direction := range l.ends {
		queue := make(chan chunk, chunksKept)
		l.proxy.running.Go(func() { l.read(direction, queue) })
		l.proxy.running.Go(func() {
			defer close(ended[direction])
			l.deliver(direction, queue)
		})
	}
	for _, done := range ended {
		select {
		case <-done:
		case <-l.ctx.Done():
		}
	}
	_ = l.ends[requests].Close()
	_ = l.ends[replies].Close()
}

func (l *link) forget() {
	l.cancel()
	l.proxy.mu.Lock()
	defer l.proxy.mu.Unlock()
	delete(l.proxy.links, l)
}

func (l *link) read(direction int, queue chan<- chunk) {
	defer close(queue)
	for {
		buffer := make([]byte, chunkSize)
		n, err := l.ends[direction].Read(buffer)
		if n > 0 {
			select {
			case queue <- chunk{buffer[:n], time.Now()}:
			case <-l.ctx.Done():
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// deliver passes what was read, and then the end of it.
func (l *link) deliver(direction int, queue <-chan chunk) {
	tally := cutTally{}
	for c := range queue {
		f := l.await(direction, c.at)
		if f == nil {
			return
		}
		if !l.pass(direction, f, &tally, c.bytes) {
			l.discard(queue)
			return
		}
	}
	f := l.await(direction, time.Now())
	switch {
	case f == nil:
	case f.halfOpen || l.mute.Load():
		l.outlast(f)
	default:
		_ = l.ends[1-direction].CloseWrite()
	}
}

// discard reads to the end, so that the other side can reach its own.
func (l *link) discard(queue <-chan chunk) {
	for {
		select {
		case _, more := <-queue:
			if !more {
				return
			}
		case <-l.ctx.Done():
			return
		}
	}
}

// outlast ends a link that has lost bytes and of which one side has gone, but
// not before the fault: until then the other side must not hear of it.
func (l *link) outlast(f *faults) {
	for f.halfOpen && l.ctx.Err() == nil {
		select {
		case <-f.changed:
			f = l.proxy.now()
		case <-l.ctx.Done():
		}
	}
	l.cancel()
}

// await returns the faults under which a chunk is delivered when its time has
// come, nil if the link ends before.
func (l *link) await(direction int, at time.Time) *faults {
	for l.ctx.Err() == nil {
		f := l.proxy.now()
		due := time.Until(at.Add(f.delay[direction]))
		if !f.hold && due <= 0 {
			return f
		}
		if f.hold {
			due = time.Hour // until the faults change
		}
		timer := time.NewTimer(due)
		select {
		case <-timer.C:
		case <-f.changed:
		case <-l.ctx.Done():
		}
		timer.Stop()
	}
	return nil
}

// pass is false when nothing more is to be delivered in this direction.
func (l *link) pass(direction int, f *faults, tally *cutTally, b []byte) bool {
	if f.halfOpen {
		l.mute.Store(true)
	}
	if l.mute.Load() {
		return true
	}
	if direction == requests && f.drop.covers(b) {
		l.doomed.Store(true)
	}
	if direction == replies && (f.drop.all || l.doomed.Load()) {
		l.cut()
		return false
	}
	b, more := tally.take(f.cut[direction], b)
	if _, err := l.ends[1-direction].Write(b); err != nil {
		return false
	}
	if !more {
		l.cut()
	}
	return more
}

// cut ends the client's connection at once, and the server's in a way that has
// the server execute what it was sent: closing it with unread replies would
// reset it, and a reset throws away what the server has not read yet.
func (l *link) cut() {
	_ = l.ends[requests].Close()
	_ = l.ends[replies].CloseWrite()
}

// A cutTally counts the bytes passed under a cutRule.
type cutTally struct {
	rule   *cutRule
	passed int
}

// take returns what of b may pass, and whether more may follow.
func (t *cutTally) take(rule *cutRule, b []byte) (allowed []byte, more bool) {
	if rule == nil {
		return b, true
	}
	if t.rule != rule {
		*t = cutTally{rule: rule}
	}
	left := rule.after - t.passed
	allowed = b[:min(left, len(b))]
	t.passed += len(allowed)
	return slices.Clip(allowed), t.passed < rule.after
}
