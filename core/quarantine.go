package core

import (
	"context"
	"crypto/rand"
	"fmt"
	"strconv"
	"time"

	"github.com/market-intel-brain/dlm/core/internal/wire"
)

// Crash recovery ("Distributed Locks with Redis", the section on delayed
// restarts): a node that restarts may have forgotten locks that are still held,
// and would help a second owner to a majority. So it does not vote until the
// longest lease that anybody uses has passed since we met it.
//
// Each node carries a marker: a random id, the server's run id, since when its
// data may be incomplete, the longest TTL ever used, and where its fencing counters
// begin. Every acquire names the id it expects, so a FLUSHALL or a restart behind
// a proxy is noticed by the first command that meets it, and every client sees
// the same marker. A deployment of which a majority has no marker, met by a client
// that has never seen one, is new and starts at once.

// greet meets the server behind a new connection.
func (n *node) greet(_ context.Context, c *wire.Session) error {
	info, err := c.Do("INFO")
	if err != nil {
		return err
	}
	f := parseInfo(info.Text)
	n.server.Store(&f)
	n.m.warnOf(n, f)
	if err := f.unfit(); err != nil {
		return err
	}
	for _, script := range hotScripts {
		if err := c.Load(script); err != nil {
			return err
		}
	}
	r, err := c.Run(n.m.meetRequest(f, "", false))
	if err == nil {
		err = r.Err
	}
	if err != nil {
		return err
	}
	n.meet(r)
	return nil
}

func (m *Manager) meetRequest(f facts, newID string, isNew bool) *wire.Request {
	uptime, founding := int64(-1), ""
	if f.uptime >= 0 && !f.promoted {
		uptime = f.uptime.Milliseconds()
	}
	if isNew {
		founding = "new"
	}
	req := wire.NewRequest(meetScript, 1, m.markerKey,
		f.runID, strconv.FormatInt(uptime, 10), newID, founding,
		strconv.FormatInt(time.Duration(m.longest.Load()).Milliseconds(), 10),
		strconv.Itoa(turns))
	req.Whole = true // sent again, it would come behind what was to stand behind it
	return req
}

// markerRequest asks for the marker, and tells it of the longest TTL.
func (m *Manager) markerRequest() *wire.Request { return m.meetRequest(facts{uptime: -1}, "", false) }

// meetItems is what meet.lua returns.
const meetItems = 6

// meet takes the marker's word on whether the node votes.
func (n *node) meet(r wire.Reply) {
	if len(r.Items) != meetItems {
		return
	}
	id := r.Items[0].Text
	if id == "" {
		n.ballot.Store(&ballot{why: errUndecided})
		return
	}
	n.m.known.Store(true)
	n.told.Store(r.Items[3].Int)
	n.m.noteFounding(r)
	n.m.learn(r)
	b := &ballot{id: id, from: time.Now()}
	if since := r.Items[1].Int; since > 0 {
		waited := time.Duration(r.Items[5].Int) * time.Millisecond
		b = &ballot{id: id, since: b.from.Add(-waited), lost: since, why: errAsking}
		if was := n.ballot.Load(); was != nil && was.id == id && was.lost == since && was.since.Before(b.since) {
			b.since = was.since // the same loss
		}
	}
	n.ballot.Store(b)
	n.m.checkTwins()
	if !b.since.IsZero() {
		n.m.takeCensus(n, b)
	}
	n.review()
}

// meeting receives a marker asked for or written over the stream.
type meeting struct{ n *node }

// Receive implements wire.Receiver.
func (v meeting) Receive(_ int, r wire.Reply) {
	switch {
	case r.Err == nil:
		v.n.meet(r)
		v.n.m.settleMarkers()
	case serverRefused(r.Err): // otherwise the next connection brings another meeting
		v.n.ballot.Store(&ballot{why: fmt.Errorf("cannot write its marker: %w", r.Err)})
		v.n.review()
		v.n.meetLater(meetAgain)
	}
	v.n.m.progress.raise()
}

// meetAgain is how long a server that refused its marker is left alone, such as
// one that is out of memory.
const meetAgain = time.Second

func (n *node) meetLater(pause time.Duration) {
	n.later(pause, n.meetAnew)
}

func (n *node) meetAnew() {
	n.send(time.Now(), wire.Call{Req: n.m.markerRequest(), To: meeting{n}, Force: true})
}

// later does one thing about the marker after a pause, in place of what was to be
// done before, unless the Manager is closed by then.
func (n *node) later(pause time.Duration, do func()) {
	next := time.AfterFunc(pause, func() {
		if !n.m.isClosed() {
			do()
		}
	})
	if earlier := n.next.Swap(next); earlier != nil {
		earlier.Stop()
	}
}

// settleMarkers decides about nodes without a marker.
//
//	a marker was ever seen         they have lost theirs: quarantine
//	one was made just now          whoever made it is about to mark them too: look again
//	a majority is here, none has   a new deployment: they vote at once
//	otherwise                      wait for more nodes
func (m *Manager) settleMarkers() {
	m.markers.Lock()
	defer m.markers.Unlock()
	var bare []*node
	many, waiting := 0, 0
	for _, n := range m.nodes {
		b := n.ballot.Load()
		switch {
		case n.many:
			many++
		case b == nil && !n.tried.Load():
			waiting++
		case b != nil && b.why == errUndecided: //nolint:errorlint // our own
			bare = append(bare, n)
		}
	}
	known := m.known.Load()
	if len(bare) == 0 || !known && (waiting > 0 && !m.patienceOver.Load() || len(bare)+many < quorumOf(len(m.nodes))) {
		return
	}
	for _, n := range bare {
		if known && m.beingFounded() {
			n.meetLater(foundingPause)
			continue
		}
		n.mark(!known)
	}
}

// mark writes a marker on a node that has none.
func (n *node) mark(isNew bool) {
	f := facts{uptime: -1}
	if p := n.server.Load(); p != nil && !n.flushed.Load() {
		f = *p
	}
	n.ballot.Store(&ballot{why: errMarking})
	n.send(time.Now(), wire.Call{Req: n.m.meetRequest(f, rand.Text(), isNew), To: meeting{n}, Force: true})
}

// forgot handles a node that answered without the marker we know.
func (m *Manager) forgot(n *node) {
	b := n.ballot.Load()
	if b == nil || b.id == "" || !n.ballot.CompareAndSwap(b, &ballot{why: errForgot}) {
		return // being dealt with
	}
	n.flushed.Store(true) // without a restart, so its data may have gone just now
	n.fell(errForgot)
	n.meetAnew()
}

// heardOf ignores the answer.
type heardOf struct{}

// Receive implements wire.Receiver.
func (heardOf) Receive(int, wire.Reply) {}
