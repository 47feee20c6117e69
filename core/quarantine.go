package core

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"
	"strings"
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

// facts are what a server says of itself. Managed services and restricted users
// may not be told; "" and -1 then.
type facts struct {
	runID, role, mode, version, eviction string
	uptime                               time.Duration
	promoted                             bool // was a replica once, so its data may lack what its primary had last
}

func parseInfo(text string) facts {
	f := facts{uptime: -1}
	lines := bufio.NewScanner(strings.NewReader(text))
	for lines.Scan() {
		field, value, _ := strings.Cut(strings.TrimSpace(lines.Text()), ":")
		switch field {
		case "run_id":
			f.runID = value
		case "second_repl_offset":
			f.promoted = value != "-1"
		case "role":
			f.role = value
		case "redis_mode":
			f.mode = value
		case "redis_version":
			f.version = value
		case "maxmemory_policy":
			f.eviction = value
		case "uptime_in_seconds":
			if s, err := strconv.ParseInt(value, 10, 40); err == nil && s >= 0 {
				f.uptime = time.Duration(s) * time.Second
			}
		}
	}
	return f
}

// unfit says why the server can grant no lock, however well it answers.
func (f facts) unfit() error {
	switch {
	case f.role == "slave":
		return errReplica
	case f.mode == "cluster":
		return errClusterNode
	case f.mode == "sentinel":
		return errSentinel
	}
	return nil
}

// evicts reports whether the server may drop lock keys to make room: every lock
// key has a TTL, the fencing counters have none.
func (f facts) evicts() bool { return f.eviction != "" && f.eviction != "noeviction" }

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

// learn takes a marker's word on the longest TTL in use. When we did not know of
// it, neither may the other nodes, and quarantines were too short.
func (m *Manager) learn(r wire.Reply) {
	ttl := time.Duration(r.Items[3].Int) * time.Millisecond
	if int64(ttl) <= m.longest.Load() {
		return
	}
	m.longer(ttl)
	for _, n := range m.nodes {
		n.tell(time.Now(), ttl)
		if b := n.ballot.Load(); b != nil && !b.since.IsZero() && !b.from.IsZero() {
			n.ballot.CompareAndSwap(b, b.after(ttl))
		}
	}
}

// after is the ballot of a node in quarantine until longest has passed.
func (b *ballot) after(longest time.Duration) *ballot {
	return &ballot{id: b.id, since: b.since, lost: b.lost, from: b.since.Add(longest)}
}

// longer raises the longest TTL known.
func (m *Manager) longer(ttl time.Duration) time.Duration {
	for {
		known := m.longest.Load()
		if int64(ttl) <= known {
			return time.Duration(known)
		}
		if m.longest.CompareAndSwap(known, int64(ttl)) {
			return ttl
		}
	}
}

// tell has the node note a lease longer than those that it is known to know of, in
// front of the command that asks for it.
func (n *node) tell(now time.Time, ttl time.Duration) {
	if !n.knows(ttl) {
		n.send(now, wire.Call{Req: n.m.markerRequest(), To: noting{n}, Force: true})
	}
}

// knows reports whether the node's marker was seen to cover the lease. A grant or a
// renewal counts only then: the majority that confirmed a lease must know how long
// it is, or the others could not tell for how long one of them that has forgotten it
// must not vote. The TTL on the marker only rises: a client tells each TTL once,
// and relies on it from then on, the more so as clients of earlier versions do. To
// let it fall, each lease had to be told anew for as long as it is used; and when
// the last of them is over, only the clocks of the servers could say, which can
// be set.
func (n *node) knows(ttl time.Duration) bool { return n.many || ttl.Milliseconds() <= n.told.Load() }

var errUntold = errors.New("does not know of so long a lease: it could not be told, or its answer was lost")

// noting receives the marker's answer to a longer TTL.
type noting struct{ n *node }

// Receive implements wire.Receiver.
func (v noting) Receive(_ int, r wire.Reply) {
	if r.Err == nil && len(r.Items) == meetItems && r.Items[0].Text != "" {
		v.n.told.Store(r.Items[3].Int)
	}
}

// heardOf ignores the answer.
type heardOf struct{}

// Receive implements wire.Receiver.
func (heardOf) Receive(int, wire.Reply) {}

// checkTwins takes the vote from a server for each further time that it is in the
// list, and has those met anew that are no longer there twice.
func (m *Manager) checkTwins() {
	seen := map[string]bool{}
	for _, n := range m.nodes {
		id, b := n.identity(), n.ballot.Load()
		switch twin := b != nil && b.why == errSameServer; { //nolint:errorlint // our own
		case id == "":
		case !seen[id] && twin:
			n.meetLater(0)
		case seen[id] && !twin:
			n.ballot.Store(&ballot{id: id, why: errSameServer})
		}
		seen[id] = true
	}
}

func (m *Manager) twins() (first, second *node) {
	seen := map[string]*node{}
	for _, n := range m.nodes {
		id := n.identity()
		if other := seen[id]; other != nil && id != "" {
			return other, n
		}
		seen[id] = n
	}
	return nil, nil
}

// identity is what no other node can share: the server's run id, or the marker
// where the server does not tell; "" before the first meeting.
func (n *node) identity() string {
	if f := n.server.Load(); f != nil && f.runID != "" {
		return f.runID
	}
	if b := n.ballot.Load(); b != nil {
		return b.id
	}
	return ""
}

// warnOf says once what makes a server unsafe.
func (m *Manager) warnOf(n *node, f facts) {
	if f.evicts() && !n.warned.Swap(true) {
		m.cfg.Logger.Warn("dlm: server may evict lock keys; set maxmemory-policy noeviction", "node", n.name, "maxmemory-policy", f.eviction)
	}
}

var (
	errReplica     = errors.New("is a replica: name the primary")
	errClusterNode = errors.New("is a node of a Redis Cluster: pass a redis.NewClusterClient of the whole Cluster in Clients")
	errSentinel    = errors.New("is a Sentinel: pass a redis.NewFailoverClient of its group in Clients")
)
